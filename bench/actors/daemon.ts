/** A whole node in a process of its own, as `p2prc serve` runs it, that can be told to connect anew. */

import { env, pid, platform } from "node:process";
import type { Duplex } from "node:stream";
import { keepHeapSmall } from "../../src/base/index.ts";
import { admits, type NodeId } from "../../src/core/index.ts";
import type { Daemon } from "../../src/daemon/index.ts";
import type { Link } from "../../src/network/index.ts";
import { act } from "../support/actor.ts";
import { drain, source } from "../support/octets.ts";

/** What came of connecting. */
export interface Connected {
  /** From wanting a link to the last byte of the first answer. */
  readonly ms: number;
  readonly path: string;
  readonly failure?: string;
}

keepHeapSmall();
const { runDaemon } = await import("../../src/daemon/index.ts");
const never = new AbortController().signal;
const ready = Promise.withResolvers<Daemon>();
const POLL_MS = 20;

const part = {
  async open({ home, name }: { home: string; name: string }): Promise<NodeId> {
    runDaemon(
      {
        home,
        flags: ["--lends", "--name", name],
        environment: { PATH: env["PATH"] },
        platform,
        uid: process.getuid?.(),
        pid,
        tunnels: [{ kind: "source", admits: admits.nodes, open: async (bytes) => (to) => send(Number(bytes), to) }],
        onReady: (daemon) => ready.resolve(daemon),
      },
      never,
    ).catch((error: unknown) => {
      console.error(name, error); // whoever waits hears that this process has ended
      process.exit(1);
    });
    return (await ready.promise).parts.identity.id;
  },

  /** Ends whatever link there is with it. */
  async hangUp(id: NodeId): Promise<void> {
    (await ready.promise).parts.network.hangUp(id);
  },

  /** A new link, and a first question on it. */
  async connect({ id, withinMs }: { id: NodeId; withinMs: number }): Promise<Connected> {
    const { network, table } = (await ready.promise).parts;
    const signal = AbortSignal.timeout(withinMs);
    const from = performance.now();
    let link: Link | undefined;
    try {
      link = await network.link(table.resolve(id), signal);
      await describe(link, signal);
      return { ms: performance.now() - from, path: link.path.kind };
    } catch (error) {
      // Whatever it is: the raw rows keep its words.
      const why =
        link?.open === false ? `; ${link.path.kind} ended: ${(await link.ended)?.message ?? "closed here"}` : "";
      const failure = signal.aborted ? "late" : `${String(error)}${why}`;
      return { ms: performance.now() - from, path: "none", failure };
    }
  },

  /** @returns how long it took until new streams take no third node's way, with that way; `undefined`: not within that */
  async untilDirect({ id, withinMs }: { id: NodeId; withinMs: number }): Promise<Connected | undefined> {
    const { network } = (await ready.promise).parts;
    const from = performance.now();
    while (performance.now() - from <= withinMs) {
      const kind = network.existing(id)?.path.kind;
      if (kind !== undefined && kind !== "relayed") return { ms: performance.now() - from, path: kind };
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return undefined;
  },

  /** @returns milliseconds from the CONNECT to the last byte, and the way they took; the link was there before */
  async pull({ id, bytes }: { id: NodeId; bytes: number }): Promise<Connected> {
    const { network, table } = (await ready.promise).parts;
    const link = await network.link(table.resolve(id), never);
    const from = performance.now();
    await drain(await link.connect(`source:${bytes}`, never), bytes);
    return { ms: performance.now() - from, path: link.path.kind };
  },
};

function send(bytes: number, to: Duplex): void {
  to.on("error", () => {}); // the reader is done
  source(bytes).pipe(to);
}

async function describe(link: Link, signal: AbortSignal): Promise<void> {
  const { body } = await link.request({ method: "GET", path: "/v1/node" }, signal);
  // Not by iteration: for Node an answer that is all there, and not read yet, "closed prematurely".
  await new Promise<void>((resolve, reject) => void body.once("end", resolve).once("error", reject).resume());
}

export type DaemonPart = typeof part;
act(part);
