/**
 * A Link is an authenticated, encrypted pipe to a key, on which one end asks and the other answers.
 *
 * This is the asking end, whatever carries it and whoever dialled. Everything that nodes do for
 * each other is a request or a byte stream on it.
 */

import type { Duplex, Readable } from "node:stream";
import type { Endpoint, Failure, NodeId } from "../core/index.ts";

export const pathKinds = ["tcp6", "tcp4", "punched", "relayed", "memory"] as const;
export type PathKind = (typeof pathKinds)[number];

export interface Path {
  readonly kind: PathKind;
  /** The other end as this one sees it, for people: `192.0.2.7:8088`. */
  readonly remote: string;
  /** Who relays it, where somebody does. */
  readonly via?: NodeId;
  /** The address of this machine that it ends at, where it ends at one: once that is gone, so is the link. */
  readonly local?: string;
}

/** Whether a better path may be found while it is used. */
export function isRoundabout({ kind }: Path): boolean {
  return kind === "punched" || kind === "relayed";
}

/** In the order of `pathKinds`, the two kinds of TCP being as good as each other. */
export function betterThan(kind: PathKind, other: PathKind): boolean {
  return isRoundabout({ kind: other, remote: "" }) && pathKinds.indexOf(kind) < pathKinds.indexOf(other);
}

export interface LinkRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With the query, as in `/v1/table?since=4`. */
  readonly path: string;
  /** Sent as JSON, or as it comes where it is a stream. */
  readonly body?: unknown;
}

export interface LinkReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
  /** What is not read is bounded by the stream's window; destroy it when it is not wanted. */
  readonly body: Readable;
}

export interface Link {
  readonly peer: NodeId;
  readonly path: Path;
  /**
   * Resolves with the head of the answer, whatever its status.
   * @throws {Failure} link-lost
   */
  request(request: LinkRequest, signal: AbortSignal): Promise<LinkReply>;
  /**
   * A byte tunnel. `target` is `<kind>:<rest>`, as in `port:box/8080`; kinds are rows of the table of roles.
   * @throws {Failure} what the other end answered, or link-lost
   */
  connect(target: string, signal: AbortSignal): Promise<Duplex>;
  /**
   * One round trip with a fresh nonce, in milliseconds with fractions. Answered below the other end's handlers.
   * @throws {Failure} link-lost
   */
  ping(signal: AbortSignal): Promise<number>;
  /** While held, the link is watched closely: its death is noticed within 15 s instead of 60. Open streams hold it too. */
  hold(): Disposable;
  /** While kept, the link is not closed for being idle. It is watched only as closely as its streams want. */
  keep(): Disposable;
  /** Since when (Clock.now) nobody has used it. Undefined: it is in use, held or kept. */
  readonly idleSince: number | undefined;
  /** Ends the link at once; its streams fail with `link-lost`. Closing twice is the same as once. */
  close(reason: string): void;
  /** Resolves, never rejects, with why the link ended: undefined when this end closed it. */
  readonly ended: Promise<Failure | undefined>;
  readonly open: boolean;
  /** Any byte that arrives is a sign of life, as an answer to a ping is. */
  readonly bytesRead: number;
}

/** What one must know of a node to reach it. */
export interface Dialable {
  readonly id: NodeId;
  /** Best first; literal addresses or, where a person typed them, host names. */
  readonly endpoints: readonly Endpoint[];
  /** Nodes that pass links on to it. */
  readonly via: readonly NodeId[];
}

/** What the rooms above need of the network, and no more. */
export interface Reach {
  /**
   * The link that there is, or a new one.
   * @throws {Failure} unreachable, wrong-key
   */
  link(target: Dialable, signal: AbortSignal): Promise<Link>;
  /** The link on which this node can ask `id` now, if there is one. */
  existing(id: NodeId): Link | undefined;
}
