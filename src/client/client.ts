/**
 * What one can ask the daemon of a home, as functions. The types are those of the rooms that answer;
 * nothing of them is loaded here.
 */

import type { LendReply, Status, Why } from "../daemon/index.ts";
import type { PingProgress, PingResult, Specs, SpeedProgress, SpeedResult } from "../measure/index.ts";
import type { IdentifyReply, NodeRow, NodesReply, RemoveReply, UpdateProgress, UpdateResult } from "../table/index.ts";
import { type AccessCalls, accessCalls } from "./access-calls.ts";
import { type BoxCalls, boxCalls } from "./box-calls.ts";
import { askJson, askLines, askSteps, type Step } from "./exchange.ts";
import { type GroupCalls, groupCalls } from "./group-calls.ts";
import { type ImageCalls, imageCalls } from "./image-calls.ts";
import { type OwnerCalls, ownerCalls } from "./owner-calls.ts";
import type { Exchange, Transport } from "./transport.ts";

/** Every call throws the Failure that the daemon answered, or daemon-not-running, or daemon-failed. */
export interface Client extends AccessCalls, BoxCalls, GroupCalls, ImageCalls, OwnerCalls, AsyncDisposable {
  status(signal: AbortSignal): Promise<Status>;
  /** The daemon answers, and ends soon after. */
  stop(signal: AbortSignal): Promise<void>;
  lend(on: boolean, signal: AbortSignal): Promise<LendReply>;
  /** The last lines of the log; with `follow` the new ones too, until the signal aborts. */
  logs(options: { readonly lines: number; readonly follow: boolean }, signal: AbortSignal): AsyncIterable<string>;
  /** Joined nodes nearest first, and with `all` those one only heard of. */
  nodes(options: { readonly all: boolean }, signal: AbortSignal): Promise<NodesReply>;
  /** `node` is, here and below, what a person types: a name, an id or the start of one, an address of a joined node. */
  node(node: string, signal: AbortSignal): Promise<NodeRow>;
  update(
    options: { readonly hops?: number | undefined },
    signal: AbortSignal,
  ): AsyncIterable<Step<UpdateProgress, UpdateResult>>;
  /** Who answers at an address. */
  identify(address: string, signal: AbortSignal): Promise<IdentifyReply>;
  add(node: { readonly address: string; readonly id: string }, signal: AbortSignal): Promise<NodeRow>;
  rename(node: string, name: string, signal: AbortSignal): Promise<NodeRow>;
  forget(node: string, signal: AbortSignal): Promise<RemoveReply>;
  ping(
    node: string,
    options: { readonly count: number },
    signal: AbortSignal,
  ): AsyncIterable<Step<PingProgress, PingResult>>;
  speed(node: string, signal: AbortSignal): AsyncIterable<Step<SpeedProgress, SpeedResult>>;
  specs(node: string, signal: AbortSignal): Promise<Specs>;
  why(node: string, signal: AbortSignal): Promise<Why>;
}

export function clientOver(transport: Transport): Client {
  const json = <T>(exchange: Exchange, signal: AbortSignal) => askJson<T>(transport, exchange, signal);
  return {
    status: (signal) => json({ method: "GET", path: "/v1/status" }, signal),
    stop: async (signal) => void (await json({ method: "POST", path: "/v1/stop" }, signal)),
    lend: (on, signal) => json({ method: "POST", path: "/v1/lend", body: { on } }, signal),
    logs: ({ lines, follow }, signal) =>
      askLines(transport, { method: "GET", path: `/v1/logs?lines=${lines}&follow=${follow}` }, signal),
    ...nodeCalls(transport),
    ...accessCalls(transport),
    ...boxCalls(transport),
    ...groupCalls(transport),
    ...imageCalls(transport),
    ...ownerCalls(transport),
    [Symbol.asyncDispose]: () => transport[Symbol.asyncDispose](),
  };
}

type NodeCalls = Pick<
  Client,
  "nodes" | "node" | "update" | "identify" | "add" | "rename" | "forget" | "ping" | "speed" | "specs" | "why"
>;

function nodeCalls(transport: Transport): NodeCalls {
  const json = <T>(exchange: Exchange, signal: AbortSignal) => askJson<T>(transport, exchange, signal);
  return {
    nodes: ({ all }, signal) => json({ method: "GET", path: `/v1/nodes${all ? "?all=true" : ""}` }, signal),
    node: (node, signal) => json({ method: "GET", path: nodePath(node) }, signal),
    update: ({ hops }, signal) =>
      askSteps(
        transport,
        { method: "POST", path: "/v1/nodes/update", body: hops === undefined ? {} : { hops } },
        signal,
      ),
    identify: (address, signal) => json({ method: "POST", path: "/v1/nodes/identify", body: { address } }, signal),
    add: ({ address, id }, signal) => json({ method: "POST", path: "/v1/nodes", body: { address, id } }, signal),
    rename: (node, name, signal) => json({ method: "PATCH", path: nodePath(node), body: { name } }, signal),
    forget: (node, signal) => json({ method: "DELETE", path: nodePath(node) }, signal),
    ping: (node, { count }, signal) =>
      askSteps(transport, { method: "POST", path: `${nodePath(node)}/ping`, body: { count } }, signal),
    speed: (node, signal) => askSteps(transport, { method: "POST", path: `${nodePath(node)}/speed` }, signal),
    specs: (node, signal) => json({ method: "GET", path: `${nodePath(node)}/specs` }, signal),
    why: (node, signal) => json({ method: "GET", path: `${nodePath(node)}/why` }, signal),
  };
}

function nodePath(node: string): string {
  return `/v1/nodes/${encodeURIComponent(node)}`;
}
