/**
 * What nodes ask of a relay, and what its owner asks of it.
 *
 * `POST /v1/relay/registrations` says: I shall open a reverse link to you, pass others on to me. It is renewed before it ends.
 * Byte streams: a node asks a relay for `CONNECT node:<id>`, the relay asks that node for `CONNECT arrive:<who asks>`, and joins the two.
 */

import { type Static, Type } from "typebox";
import { NODE_ID_PATTERN, type NodeId } from "../../core/index.ts";

const Id = Type.Unsafe<NodeId>(Type.String({ pattern: NODE_ID_PATTERN.source }));

/** Whose links are passed on: friends' and guests' with `relay` in their grant, anybody's, or nobody's. */
export const relayModes = ["friends", "anyone", "no"] as const;
export type RelayMode = (typeof relayModes)[number];
const Mode = Type.Enum([...relayModes]);

/** The body of `POST /v1/relay/registrations`. */
export const RegisterRequest = Type.Object({}, { additionalProperties: false });

/** Its reply. */
export const RegisterReply = Type.Object({
  /** How long it is kept without being renewed. */
  ttlMs: Type.Integer({ minimum: 60_000, maximum: 86_400_000 }),
});
export type RegisterReply = Static<typeof RegisterReply>;

/** Of streams that were passed on since the daemon started. */
export const RelayCounts = Type.Object({
  /** Open now. */
  streams: Type.Integer({ minimum: 0 }),
  opened: Type.Integer({ minimum: 0 }),
  /** Both ways. */
  bytes: Type.Integer({ minimum: 0 }),
  /** Not opened: who asked may not, or the other node has no link here. */
  refused: Type.Integer({ minimum: 0 }),
  /** Not opened, or broken off: a quota was used up. */
  overQuota: Type.Integer({ minimum: 0 }),
});
export type RelayCounts = Static<typeof RelayCounts>;

/** The reply of `GET /v1/relay`, and part of `GET /v1/status`. */
export const RelayStatus = Type.Object({
  mode: Mode,
  counts: RelayCounts,
  /** Nodes that are reached through this one. */
  registered: Type.Integer({ minimum: 0 }),
  /** Nodes through which this one is reached. */
  via: Type.Array(Type.Object({ id: Id, name: Type.String() })),
});
export type RelayStatus = Static<typeof RelayStatus>;

/** The body of `POST /v1/relay`: from now on, until the daemon ends. */
export const RelayRequest = Type.Object({ mode: Mode }, { additionalProperties: false });
export type RelayRequest = Static<typeof RelayRequest>;
