/** What is known of punching here, for people and for those who decide by it. */

import type { Endpoint } from "../../core/index.ts";
import type { Doorkeeper } from "./doorkeeper.ts";
import type { Dht } from "./engine.ts";
import type { Presence } from "./presence.ts";

export interface PunchState {
  /** Whether ways by punching are offered. */
  readonly on: boolean;
  /** Why not: nobody is known who would help, or one of the two below. */
  readonly reason: string | undefined;
  /** Why it is turned off. */
  readonly off: string | undefined;
  /** Why the library cannot be had. */
  readonly broken: string | undefined;
  /** Ends of the DHT that are open here. */
  readonly endpoints: number;
  /** Other DHT nodes that were asked at first. */
  readonly asked: number;
  /** Those that answered lately. */
  readonly nodesKnown: number;
  /** Whether the NAT gives each destination another port (symmetric). Undefined: too few nodes answered to tell. */
  readonly randomized: boolean | undefined;
  /** Whether the DHT answers. */
  readonly online: boolean;
  /** This node as the DHT sees it; port 0 where it is `randomized`. */
  readonly seenAs: Endpoint | undefined;
  /** Whether others can find this node by its key, and punch through to it. */
  readonly answers: boolean;
  /** Whether it says in the DHT where it is. */
  readonly published: boolean;
  /** Handshakes of others under way. */
  readonly pending: number;
  /** And connections of theirs that are open. */
  readonly connections: number;
}

export interface PunchFacts extends Pick<PunchState, "reason" | "off" | "broken"> {
  readonly presence: Presence | undefined;
  readonly door: Doorkeeper;
}

export function stateOf({ reason, off, broken, presence, door }: PunchFacts): PunchState {
  const { dht, endpoints = 0, asked = 0, nodes = [], isFound = false, isPublished = false } = presence ?? {};
  return {
    on: reason === undefined,
    reason,
    off,
    broken,
    asked,
    endpoints,
    nodesKnown: nodes.length,
    ...seenBy(dht),
    online: dht?.online ?? false,
    answers: isFound,
    published: isPublished,
    pending: door.pending,
    connections: door.connections,
  };
}

/** The same text as long as nothing but counts has changed. */
export function gistOf({ nodesKnown, pending: _pending, connections: _connections, ...rest }: PunchState): string {
  return JSON.stringify({ ...rest, isAnswered: nodesKnown > 0 });
}

/** What the other nodes say of this one's address. */
function seenBy(dht: Dht | undefined): Pick<PunchState, "randomized" | "seenAs"> {
  if (dht === undefined || dht.host === null) return { randomized: undefined, seenAs: undefined };
  return { randomized: dht.randomized, seenAs: { host: dht.host, port: dht.port } };
}
