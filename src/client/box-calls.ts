/** The calls about sandboxes that one holds on other nodes. `box` is what a person types: a name, an id, the start of either, `name@node`. */

import type { Duplex } from "node:stream";
import type {
  Box,
  BoxesReply,
  BoxPort,
  BoxPortRequest,
  BoxProgress,
  BoxPublished,
  PublishRequest,
  Offer,
  RemoveBoxReply,
  Stats,
  TouchRequest,
} from "../sandbox/index.ts";
import type { ExecStart } from "../sandbox/light.ts";
import { askBytes, askJson, askSteps, openStream, type Step } from "./exchange.ts";
import { Exec } from "./exec.ts";
import type { Exchange, Transport } from "./transport.ts";

export interface BoxCalls {
  /** Starts a sandbox on a node, or on the nearest one that fits. */
  touch(request: TouchRequest, signal: AbortSignal): AsyncIterable<Step<BoxProgress, Box>>;
  /** With `ask` their nodes are asked, for 2 s at most; without, it is what they said last. */
  boxes(options: { readonly ask: boolean }, signal: AbortSignal): Promise<BoxesReply>;
  box(box: string, signal: AbortSignal): Promise<Box>;
  /** From now, not from its end. */
  extend(box: string, lifetimeMs: number, signal: AbortSignal): Promise<Box>;
  removeBox(box: string, signal: AbortSignal): Promise<RemoveBoxReply>;
  boxStats(box: string, signal: AbortSignal): Promise<Stats>;
  /** What a node would give me now. */
  offerOf(node: string, signal: AbortSignal): Promise<Offer>;
  /** Bytes as its command wrote them; with `follow` the new ones too. */
  boxLogs(
    box: string,
    options: { readonly lines: number; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array>;
  /** Starts a command in it. */
  exec(box: string, start: ExecStart, signal: AbortSignal): Promise<Exec>;
  /** Opens a port of this machine, or a Unix socket, to one inside. Open already: the same one. */
  openPort(box: string, wish: BoxPortRequest, signal: AbortSignal): Promise<BoxPort>;
  closePort(box: string, internal: number, signal: AbortSignal): Promise<Box>;
  /** Opens a port of its node to everybody, to one inside. */
  publishPort(box: string, wish: PublishRequest, signal: AbortSignal): Promise<BoxPublished>;
  unpublishPort(box: string, internal: number, signal: AbortSignal): Promise<Box>;
  /** `box-ssh:<box>`, `box-port:<box>/<port>`, `box-files:<box>/…`: the bytes as they are. */
  stream(target: string, signal: AbortSignal): Promise<Duplex>;
}

export function boxCalls(transport: Transport): BoxCalls {
  const json = <T>(exchange: Exchange, signal: AbortSignal) => askJson<T>(transport, exchange, signal);
  return {
    touch: (body, signal) => askSteps(transport, { method: "POST", path: "/v1/boxes", body }, signal),
    boxes: ({ ask }, signal) => json({ method: "GET", path: `/v1/boxes?ask=${ask}` }, signal),
    box: (box, signal) => json({ method: "GET", path: boxPath(box) }, signal),
    extend: (box, lifetimeMs, signal) =>
      json({ method: "POST", path: `${boxPath(box)}/extend`, body: { lifetimeMs } }, signal),
    removeBox: (box, signal) => json({ method: "DELETE", path: boxPath(box) }, signal),
    offerOf: (node, signal) => json({ method: "GET", path: `/v1/nodes/${encodeURIComponent(node)}/offer` }, signal),
    boxStats: (box, signal) => json({ method: "GET", path: `${boxPath(box)}/stats` }, signal),
    boxLogs: (box, { lines, follow }, signal) =>
      askBytes(transport, { method: "GET", path: `${boxPath(box)}/logs?lines=${lines}&follow=${follow}` }, signal),
    exec: async (box, start, signal) => await Exec.open(await openStream(transport, `box-exec:${box}`, signal), start),
    openPort: (box, body, signal) => json({ method: "POST", path: `${boxPath(box)}/ports`, body }, signal),
    closePort: (box, internal, signal) => json({ method: "DELETE", path: `${boxPath(box)}/ports/${internal}` }, signal),
    publishPort: (box, body, signal) => json({ method: "POST", path: `${boxPath(box)}/publish`, body }, signal),
    unpublishPort: (box, internal, signal) =>
      json({ method: "DELETE", path: `${boxPath(box)}/publish/${internal}` }, signal),
    stream: (target, signal) => openStream(transport, target, signal),
  };
}

function boxPath(box: string): string {
  return `/v1/boxes/${encodeURIComponent(box)}`;
}
