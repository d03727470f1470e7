/**
 * What the daemon itself answers, to the person whose daemon it is: how it is, what it logs, why a
 * node was or was not reached, and the two things one may tell it (lend, stop).
 *
 * `GET /v1/logs` answers text, one log line a line; with `follow` it does not end by itself.
 */

import { Type, type Static } from "typebox";
import { NODE_ID_PATTERN, type NodeId, SignedRecord } from "../core/index.ts";
import { ReachReply, RelayStatus } from "../nat/index.ts";

const Id = Type.Unsafe<NodeId>(Type.String({ pattern: NODE_ID_PATTERN.source }));

/** A link that is up now. */
export const LinkStatus = Type.Object({
  id: Id,
  name: Type.String(),
  /** `tcp6`, `tcp4`, `punched`, `relayed`. */
  path: Type.String(),
  /** The name of the node that passes it on, where one does. */
  via: Type.Optional(Type.String()),
  rttMs: Type.Optional(Type.Number({ minimum: 0 })),
  /** Whether this end asks on it; the other end asks otherwise. */
  asks: Type.Boolean(),
});
export type LinkStatus = Static<typeof LinkStatus>;

/** The reply of `GET /v1/status`. */
export const Status = Type.Object({
  id: Id,
  name: Type.String(),
  /** Of the daemon's program: the CLI offers a restart when its own differs. */
  version: Type.String(),
  pid: Type.Integer({ minimum: 1 }),
  /** Wall time in milliseconds since 1970, like every `…At` here. */
  startedAt: Type.Number(),
  home: Type.String(),
  lends: Type.Boolean(),
  /** What makes sandboxes here. Absent: none was needed yet, or none can be had (then a warning says why). */
  runtime: Type.Optional(Type.Object({ kind: Type.String(), version: Type.String() })),
  /** What it listens on, as in `[::]:8088`. */
  listening: Type.Array(Type.String()),
  /** Where others may reach it, best first. */
  addresses: Type.Array(Type.String()),
  links: Type.Array(LinkStatus),
  nodes: Type.Object({
    joined: Type.Integer({ minimum: 0 }),
    verified: Type.Integer({ minimum: 0 }),
    heard: Type.Integer({ minimum: 0 }),
    suspect: Type.Integer({ minimum: 0 }),
  }),
  /** How others reach it: the whole picture is `GET /v1/reach`. */
  reach: Type.Object({ nat: ReachReply.properties.nat, by: ReachReply.properties.reachableBy }),
  relay: RelayStatus,
  /** What a person should know and do something about, one sentence each. */
  warnings: Type.Array(Type.String()),
  logFile: Type.String(),
  boot: Type.String(),
});
export type Status = Static<typeof Status>;

/** The body of `POST /v1/lend`. */
export const LendRequest = Type.Object({ on: Type.Boolean() }, { additionalProperties: false });
export type LendRequest = Static<typeof LendRequest>;

/** The reply of `POST /v1/lend`. */
export const LendReply = Type.Object({ lends: Type.Boolean() });
export type LendReply = Static<typeof LendReply>;

/** The reply of `POST /v1/stop`: the daemon answers, and then ends. */
export const StopReply = Type.Object({});
export type StopReply = Static<typeof StopReply>;

/** The query of `GET /v1/logs`. */
export const LogsQuery = Type.Object(
  {
    /** How many of the last lines. */
    lines: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000, default: 50 })),
    follow: Type.Optional(Type.Boolean({ default: false })),
  },
  { additionalProperties: false },
);
export type LogsQuery = Static<typeof LogsQuery>;

/** One try to reach a node by one path. */
export const Attempt = Type.Object({
  path: Type.String(),
  /** What was dialled, for people: `[2001:db8::7]:8088`. */
  address: Type.String(),
  /** `up`, or in a word what went wrong: `refused`, `silent`, `wrong-key`, `cancelled`, … */
  outcome: Type.String(),
  ms: Type.Number({ minimum: 0 }),
  /** In a sentence; empty where there is nothing to say. */
  reason: Type.String(),
  at: Type.Number(),
});
export type Attempt = Static<typeof Attempt>;

/** The reply of `GET /v1/nodes/:node/why`. */
export const Why = Type.Object({
  node: Type.Object({ id: Id, name: Type.String() }),
  /** What is in use now. Absent: there is no link. */
  path: Type.Optional(
    Type.Object({
      /** `tcp6`, `tcp4`, `punched`, `relayed`. */
      kind: Type.String(),
      remote: Type.String(),
      /** The name of the node that passes it on, where one does. */
      via: Type.Optional(Type.String()),
    }),
  ),
  /** In the order in which they began, oldest first. What led to the path in use says so. */
  attempts: Type.Array(Attempt),
  /** Kinds of paths beside those, and why they were not, or cannot be, tried. */
  untried: Type.Array(Type.Object({ path: Type.String(), reason: Type.String() })),
});
export type Why = Static<typeof Why>;

/** The params of `GET /v1/nodes/:node/why`: what a person typed. */
export const WhyParams = Type.Object({ node: Type.String({ minLength: 1, maxLength: 255 }) });
export type WhyParams = Static<typeof WhyParams>;

/** The query of `GET /v1/node`. */
export const NodeQuery = Type.Object(
  {
    /** Of the asker: it counts where the asker has the same key, and so has a copy of this home. */
    boot: Type.Optional(Type.String({ pattern: "^[0-9a-f]{16}$" })),
  },
  { additionalProperties: false },
);
export type NodeQuery = Static<typeof NodeQuery>;

/** The reply of `GET /v1/node`: what anybody may know, a client without a key too. */
export const NodeDescription = Type.Object({
  /** Signed: the same that others pass on. */
  record: SignedRecord,
  version: Type.String(),
  /** The versions of the protocol that it speaks. */
  protocol: Type.Array(Type.Integer()),
  /** Made anew at each start. */
  boot: Type.String(),
});
export type NodeDescription = Static<typeof NodeDescription>;
