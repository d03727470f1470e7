/** The owner at their own daemon: `/v1/guests…`, `/v1/lend/limits`, `/v1/usage`, `/v1/panic`. */

import { type Static, Type } from "typebox";
import { Sandbox, Stats } from "./guest.ts";
import { closed, Node, Bytes, WallTime } from "./pieces.ts";

/**
 * GET /v1/guests (GuestsReply), POST /v1/guests/:sandbox/{pause,resume,kick} (Sandbox), GET /v1/usage (UsageReply).
 * GET and PUT /v1/lend/limits. Absent: all of the machine's cores, half of its memory, any image, 8 sandboxes. */
export const LendLimits = Type.Object(
  {
    cpus: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 65_536 })),
    memoryBytes: Type.Optional(Bytes),
    diskBytes: Type.Optional(Bytes),
    sandboxes: Type.Optional(Type.Integer({ minimum: 0, maximum: 10_000 })),
    /** Globs over references: `debian:*`. */
    images: Type.Optional(Type.Array(Type.String({ maxLength: 255 }), { maxItems: 64 })),
    /** Walls whose absence the owner accepts for others, in words of `Walls`. */
    accept: Type.Optional(
      Type.Array(Type.Enum(["memoryLimit", "pidsLimit", "networkFilter", "seccomp"]), { maxItems: 8 }),
    ),
  },
  closed,
);
export type LendLimits = Static<typeof LendLimits>;

export const GuestSandbox = Type.Object(
  { sandbox: Sandbox, guestName: Type.String(), stats: Type.Optional(Stats) },
  closed,
);
export type GuestSandbox = Static<typeof GuestSandbox>;
export const GuestsReply = Type.Object({ sandboxes: Type.Array(GuestSandbox), frozen: Type.Boolean() }, closed);
export type GuestsReply = Static<typeof GuestsReply>;

/** One guest's use of this node, added up over all of their sandboxes, ended ones too. */
export const Usage = Type.Object(
  {
    guest: Node,
    guestName: Type.String(),
    sandboxes: Type.Integer(),
    cpuMs: Type.Number(),
    /** Memory over time: byte-seconds, divided by 3,600 for byte-hours. */
    memoryByteSeconds: Type.Number(),
    receivedBytes: Bytes,
    sentBytes: Bytes,
    linkBytes: Bytes,
    first: WallTime,
    last: WallTime,
  },
  closed,
);
export type Usage = Static<typeof Usage>;
export const UsageReply = Type.Object({ guests: Type.Array(Usage) }, closed);
export type UsageReply = Static<typeof UsageReply>;

/** A sandbox of a guest by its id, its name, or the start of its id. */
export const GuestParams = Type.Object({ sandbox: Type.String({ minLength: 1, maxLength: 64 }) }, closed);
export type GuestParams = Static<typeof GuestParams>;

/** POST /v1/panic: on freezes every sandbox, hangs up on guests and stops lending; off lets sandboxes go on. */
export const PanicRequest = Type.Object({ on: Type.Boolean() }, closed);
export type PanicRequest = Static<typeof PanicRequest>;
export const PanicReply = Type.Object(
  {
    on: Type.Boolean(),
    /** How many sandboxes were frozen, or go on. */
    sandboxes: Type.Integer({ minimum: 0 }),
    /** Sandboxes that the runtime could not freeze, in words. */
    problems: Type.Array(Type.String()),
  },
  closed,
);
export type PanicReply = Static<typeof PanicReply>;
