/**
 * Byte streams of the person into what they hold elsewhere, on the local socket: `box-exec:<box>`, `box-ssh:<box>`,
 * `box-port:<box>/<port>`, `box-files:<box>/<put|get>/<path>`. Each is joined to a stream of the link; nothing in
 * between reads it.
 */

import type { Duplex } from "node:stream";
import { splice } from "../../base/index.ts";
import { admits, type Caller, cleanText, Failure, type Role } from "../../core/index.ts";
import type { StreamWish } from "../ask.ts";
import type { Boxes } from "./boxes.ts";

export interface BoxTunnel {
  readonly kind: string;
  readonly admits: readonly Role[];
  open(rest: string, caller: Caller, signal: AbortSignal): Promise<(stream: Duplex) => void>;
}

export function boxTunnels(boxes: Pick<Boxes, "connect">): readonly BoxTunnel[] {
  const row = (kind: string, parse: (rest: string) => readonly [string, StreamWish]): BoxTunnel => ({
    kind,
    admits: admits.owner,
    open: async (rest, _caller, signal) => {
      const [box, wish] = parse(rest);
      const far = await boxes.connect(box, wish, signal);
      return (near) => void splice(near, far);
    },
  });
  return [
    row("box-exec", (rest) => [rest, { kind: "exec" }]),
    row("box-ssh", (rest) => [rest, { kind: "ssh" }]),
    row("box-port", parsePort),
    row("box-files", parseFiles),
  ];
}

/** @throws {Failure} bad-argument */
function parsePort(rest: string): readonly [string, StreamWish] {
  const slash = rest.lastIndexOf("/");
  const port = /^\d{1,5}$/.test(rest.slice(slash + 1)) ? Number(rest.slice(slash + 1)) : 0;
  if (slash > 0 && port >= 1 && port <= 65_535) return [rest.slice(0, slash), { kind: "port", port }];
  throw new Failure("bad-argument", `not a port of a sandbox: "${cleanText(rest, 80)}"`, {
    hint: "a port is a number from 1 to 65535",
  });
}

/** @throws {Failure} bad-argument */
function parseFiles(rest: string): readonly [string, StreamWish] {
  const [, box = "", kind, path] = /^([^/]+)\/(put|get)\/(.*)$/s.exec(rest) ?? [];
  if (path !== undefined && (kind === "put" || kind === "get")) return [box, { kind, path }];
  throw new Failure("bad-argument", `not a place in a sandbox: "${cleanText(rest, 80)}"`);
}
