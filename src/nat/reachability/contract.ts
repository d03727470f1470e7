/**
 * Between nodes: `POST /v1/reach/check`, answered by whoever is asked with what a dial back to the asker came to.
 * For the person: `GET /v1/reach`, how others reach this node and why not better.
 */

import { type Static, Type } from "typebox";
import { natKinds, NODE_ID_PATTERN, type NodeId } from "../../core/index.ts";

const closed = { additionalProperties: false } as const;
const Port = Type.Integer({ minimum: 1, maximum: 65_535 });
const Address = Type.String({ maxLength: 45 });

/** Where to is not in it: the one that is asked dials the address that it sees the asker at. */
export const CheckRequest = Type.Object(
  {
    tcp: Port,
    /** The first of the ports of its DHT endpoints, where it has some. */
    udp: Type.Optional(Port),
  },
  closed,
);
export type CheckRequest = Static<typeof CheckRequest>;

/** open: the asker answered and proved its key. */
export const outcomes = ["open", "refused", "silent", "stranger"] as const;

export const Dialled = Type.Object({
  /** stranger: something else answers at that port. */
  outcome: Type.Enum([...outcomes]),
  ms: Type.Number({ minimum: 0 }),
});
export type Dialled = Static<typeof Dialled>;

export const CheckReply = Type.Object({
  /** The address that was dialled. */
  observed: Address,
  tcp: Dialled,
  udp: Type.Optional(Dialled),
});
export type CheckReply = Static<typeof CheckReply>;

/** verified: two nodes on different networks, or more, got through; unsure: only one could be asked. */
export const findings = ["verified", "refused", "silent", "unsure", "untried"] as const;

export const ReachAddress = Type.Object({
  address: Address,
  port: Type.Integer(),
  /** own: this machine's; mapped: by a port mapping; nat: by a NAT that nobody asked. */
  origin: Type.Enum(["own", "mapped", "nat"]),
  finding: Type.Enum([...findings]),
  /** How many nodes got through, and how many tried. */
  reachedBy: Type.Integer(),
  askedOf: Type.Integer(),
});
export type ReachAddress = Static<typeof ReachAddress>;

/** What was looked at, in words, with what to do about it. */
export const ReachFinding = Type.Object({
  about: Type.String(),
  ok: Type.Boolean(),
  words: Type.String(),
  fix: Type.Optional(Type.String()),
});
export type ReachFinding = Static<typeof ReachFinding>;

/** The reply of `GET /v1/reach`. */
export const ReachReply = Type.Object({
  /** A node that does not lend listens nowhere, and nobody looks for it. */
  lends: Type.Boolean(),
  nat: Type.Enum([...natKinds]),
  /** When it was looked at last, ISO 8601. */
  at: Type.Optional(Type.String()),
  addresses: Type.Array(ReachAddress),
  /** The addresses at which others see this node. */
  observed: Type.Array(Address),
  /** In words: `directly`, `punching`, `relay through garage`. */
  reachableBy: Type.Array(Type.String()),
  via: Type.Array(Type.Unsafe<NodeId>(Type.String({ pattern: NODE_ID_PATTERN.source }))),
  findings: Type.Array(ReachFinding),
});
export type ReachReply = Static<typeof ReachReply>;
