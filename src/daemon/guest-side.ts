/**
 * What this node's person holds on others: the book of it, the ways into it, and what answers the person about it. The
 * owner's side, for whom this node makes sandboxes, is apart.
 */

import { sign } from "node:crypto";
import { dirname, join } from "node:path";
import { env, execPath } from "node:process";
import { fileURLToPath } from "node:url";
import type { FastifyPluginAsync } from "fastify";
import type { Log, Scope } from "../base/index.ts";
import { byRank, Failure } from "../core/index.ts";
import {
  Boxes,
  boxTunnels,
  Doors,
  Groups,
  GroupTunnels,
  openClientKey,
  PrivateUrls,
  serveBoxes,
  serveBoxPorts,
  serveGroups,
  servePushes,
  SSH,
  SshFiles,
  type Visited,
  WaysIn,
} from "../sandbox/index.ts";
import type { Identity } from "../network/index.ts";
import { openSeed } from "../store/index.ts";
import type { Parts } from "./parts.ts";
import type { TunnelKind } from "./tunnels.ts";

export interface GuestSide {
  readonly boxes: Boxes;
  readonly ways: WaysIn;
  readonly plugins: readonly FastifyPluginAsync[];
  readonly tunnels: readonly TunnelKind[];
  /** Opens the ways into what is held, and goes on with what could not be told yet, until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
}

export function openGuestSide(parts: Parts, scope: Scope): GuestSide {
  const { database, network, table, clock, random } = parts;
  const log = parts.log.with({ room: "sandbox" });
  const key = clientKeyOf(parts);
  const doors = scope.own(
    new Doors({
      database,
      connect: (box, internal, signal) =>
        boxes.connect(box, internal === SSH ? { kind: "ssh" } : { kind: "port", port: internal }, signal),
      log,
    }),
  );
  const urls: PrivateUrls = scope.own(
    new PrivateUrls({
      secret: urlSecretOf(parts.identity),
      connect: (visited, signal) => connectVisitor({ boxes, ways }, visited, signal),
      log,
    }),
  );
  const ways: WaysIn = new WaysIn({ doors, files: sshFilesOf(parts, key), urls, nameOf: (node) => table.nameOf(node) });
  const boxes: Boxes = new Boxes({
    database,
    reach: network,
    dialable: (id) => table.dialable(id),
    nameOf: (id) => table.nameOf(id),
    resolve: (text) => table.resolve(text),
    nearest: () => nearestOf(parts),
    sshKey: async () => (await key()).publicLine,
    doors: ways,
    isGroup: (name) => groups.has(name),
    clock,
    random,
    log,
  });
  const { groups, tunnels }: Grouped = openGroups(parts, boxes, scope);
  const ended = boxes.changes.on(({ kind, row }) => {
    if (kind !== "ended") return;
    ways.close(row.id).catch((error: unknown) => log.error("closing the ways into a sandbox failed", { error }));
  });
  scope.defer(() => ended[Symbol.dispose]());
  return {
    boxes,
    ways,
    plugins: [
      serveBoxes({ boxes, log }),
      serveBoxPorts({ boxes, ways }),
      serveGroups({ groups, tunnels }),
      pushesOf(parts),
    ],
    tunnels: boxTunnels(boxes),
    run: async (signal) => {
      await restoreWays({ boxes, ways }, log, signal);
      await Promise.all([boxes.run(signal), tunnels.run(signal)]);
    },
  };
}

async function restoreWays(
  { boxes, ways }: Pick<GuestSide, "boxes" | "ways">,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  try {
    await ways.restore(boxes.rows, signal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    log.warn("not every way into a sandbox could be opened", { why: error.message });
  }
}

interface Grouped {
  readonly groups: Groups;
  readonly tunnels: GroupTunnels;
}

function openGroups({ database, clock, random, log }: Parts, boxes: Boxes, scope: Scope): Grouped {
  const groups = new Groups({ database, boxes, clock, random });
  scope.defer(() => groups[Symbol.dispose]());
  const connect: Boxes["connect"] = (box, wish, signal) => boxes.connect(box, wish, signal);
  const own = { database, groups, connect, clock, random, log: log.with({ room: "sandbox" }) };
  return { groups, tunnels: scope.own(new GroupTunnels(own)) };
}

function pushesOf({ home, network, table, clock, log }: Parts): FastifyPluginAsync {
  return servePushes({
    resolve: (text) => table.resolve(text),
    reach: network,
    folder: join(home.path, "pushes"),
    environment: env,
    clock,
    log: log.with({ room: "sandbox" }),
  });
}

/** The same for ever, and nothing else's: a signature that only this node's key can make, over words that nothing else signs. */
function urlSecretOf({ key }: Identity): Uint8Array {
  return sign(null, Buffer.from("p2prc private urls v1"), key).subarray(0, 32);
}

/** @throws {Failure} not-found, what the node answers */
function connectVisitor({ boxes, ways }: Pick<GuestSide, "boxes" | "ways">, visited: Visited, signal: AbortSignal) {
  const { id } = boxes.find(visited.box);
  const port = ways.portBehind({ box: id, port: visited.port });
  if (port === undefined) {
    throw new Failure("not-found", `that port of "${visited.box}" is not open here`, {
      hint: `open it with \`p2prc port ${visited.box} ${visited.port ?? 8080}\``,
    });
  }
  return boxes.connect(id, { kind: "port", port }, signal);
}

/** Joined nodes, the best first. */
function nearestOf({ table }: Parts) {
  return table
    .rows("joined")
    .toSorted(byRank)
    .flatMap(({ id, name }) => {
      const target = table.dialable(id);
      return target === undefined ? [] : [{ ...target, name }];
    });
}

/** Made when it is first asked for: most nodes never enter a sandbox. */
function clientKeyOf({ home, random }: Parts) {
  let opened: ReturnType<typeof openClientKey> | undefined;
  const open = async () => await openClientKey({ home: home.path, seed: await openSeed(home, random) });
  return () => {
    opened ??= open().catch((error: unknown) => {
      opened = undefined; // a full disk may have room later
      throw error;
    });
    return opened;
  };
}

function sshFilesOf({ home }: Parts, key: ReturnType<typeof clientKeyOf>): Pick<SshFiles, "write"> {
  let files: SshFiles | undefined;
  return {
    write: async (boxes) => {
      const { path: clientKey } = await key();
      files ??= new SshFiles({
        home: home.path,
        runtime: dirname(home.socket),
        socket: home.socket,
        clientKey,
        program: [execPath, commandLine()],
        platform: home.platform,
      });
      await files.write(boxes);
    },
  };
}

/** `bin.ts` in the source folder, `bin.js` in the package: `ssh` runs it where no daemon runs. */
function commandLine(): string {
  const here = import.meta.url;
  return fileURLToPath(new URL(`../cli/bin.${here.endsWith(".ts") ? "ts" : "js"}`, here));
}
