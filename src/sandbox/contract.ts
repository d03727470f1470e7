/**
 * What goes over the wire about sandboxes.
 *
 * A guest asks the owner's node (`/v1/sandboxes…`, admits guests; each sees their own alone: another's is 404). The person
 * asks their own daemon about what they hold elsewhere (`/v1/boxes…`) and about their guests (`/v1/guests…`).
 * Byte streams are CONNECT targets: between nodes `exec:<id>`, `ssh:<id>`, `port:<id>/<port>`, `files:<id>/<put|get>/<path>`;
 * on the local socket the same with `box-` in front and what a person calls the sandbox instead of the id.
 */

import { type Static, Type } from "typebox";
import type { NodeId } from "../core/index.ts";
import { SANDBOX_ID_PATTERN, type SandboxId } from "./runtime/sandbox-id.ts";
import { profiles, runtimeKinds } from "./runtime/runtime.ts";
import { IMAGE_PATTERN, NAME_PATTERN } from "./words.ts";

const closed = { additionalProperties: false } as const;
const Id = Type.Unsafe<SandboxId>(Type.String({ pattern: SANDBOX_ID_PATTERN }));
const Node = Type.Unsafe<NodeId>(Type.String());
const Bytes = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
/** Wall time in milliseconds since 1970. */
const WallTime = Type.Integer({ minimum: 0, maximum: 8.64e15 });
const Milliseconds = Type.Integer({ minimum: 1_000, maximum: 366 * 24 * 3_600_000 });
const Name = Type.String({ pattern: NAME_PATTERN });
const Image = Type.String({ pattern: IMAGE_PATTERN, maxLength: 255 });
/** One line of an OpenSSH public key file: Ed25519 only. */
const SshKey = Type.String({ pattern: "^ssh-ed25519 [A-Za-z0-9+/]{68}$" });

export const GpuWish = Type.Object(
  {
    count: Type.Integer({ minimum: 1, maximum: 64 }),
    /** Each has at least this. */
    memoryBytes: Type.Optional(Bytes),
    /** Part of its model's name, in any case: `RTX 4090`. */
    model: Type.Optional(Type.String({ minLength: 1, maxLength: 96 })),
  },
  closed,
);
export type GpuWish = Static<typeof GpuWish>;

export const CreateRequest = Type.Object(
  {
    /** Made by the guest: the same id again is the same sandbox. */
    id: Id,
    name: Name,
    image: Type.Optional(Image),
    /** @default dev where the runtime can, else strict */
    profile: Type.Optional(Type.Enum([...profiles])),
    cpus: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 65_536 })),
    memoryBytes: Type.Optional(Bytes),
    diskBytes: Type.Optional(Bytes),
    lifetimeMs: Type.Optional(Milliseconds),
    network: Type.Optional(Type.Enum(["none", "internet"])),
    gpu: Type.Optional(GpuWish),
    ports: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 })),
    command: Type.Optional(Type.Array(Type.String({ maxLength: 4_096 }), { minItems: 1, maxItems: 256 })),
    sshKey: SshKey,
  },
  closed,
);
export type CreateRequest = Static<typeof CreateRequest>;

export const sandboxStates = ["making", "running", "paused", "stopped", "removing"] as const;

/** A port of a sandbox that anybody may connect to, on the addresses at which its node listens. */
export const PublishedPort = Type.Object(
  {
    internal: Type.Integer({ minimum: 1, maximum: 65_535 }),
    public: Type.Integer({ minimum: 1, maximum: 65_535 }),
  },
  closed,
);
export type PublishedPort = Static<typeof PublishedPort>;

export const SandboxGpu = Type.Object({ index: Type.Integer(), model: Type.String(), memoryBytes: Bytes }, closed);

/** A sandbox and its lease, as its guest and the owner see it. */
export const Sandbox = Type.Object(
  {
    id: Id,
    name: Name,
    guest: Node,
    state: Type.Enum([...sandboxStates]),
    /** Why it stopped or was paused, for people. */
    reason: Type.Optional(Type.String()),
    runtime: Type.Enum([...runtimeKinds]),
    /** As asked; absent: the runtime's own default. */
    image: Type.Optional(Type.String()),
    profile: Type.Enum([...profiles]),
    cpus: Type.Number(),
    memoryBytes: Bytes,
    diskBytes: Bytes,
    network: Type.Enum(["none", "internet"]),
    gpus: Type.Array(SandboxGpu),
    ports: Type.Integer(),
    published: Type.Optional(Type.Array(PublishedPort, { maxItems: 1_000 })),
    made: WallTime,
    expires: WallTime,
    /** Set in the last minutes before the end. */
    endsSoon: Type.Optional(Type.Boolean()),
    /** The user whose shell one gets: `root`, or `guest`. */
    user: Type.String(),
    /** The public half of its host key, as in known_hosts: `ssh-ed25519 AAAA…`. Absent where SSH cannot be had, and why. */
    hostKey: Type.Optional(Type.String()),
    sshProblem: Type.Optional(Type.String()),
  },
  closed,
);
export type Sandbox = Static<typeof Sandbox>;

/** What is told while a sandbox is made (`{"progress":…}` lines). */
export const CreateProgress = Type.Object(
  {
    step: Type.Enum(["admitted", "pulling", "starting", "verifying"]),
    image: Type.Optional(Type.String()),
    layers: Type.Optional(Type.Object({ done: Type.Integer(), all: Type.Integer() }, closed)),
    bytes: Type.Optional(Type.Object({ done: Bytes, all: Bytes }, closed)),
  },
  closed,
);
export type CreateProgress = Static<typeof CreateProgress>;

export const SandboxParams = Type.Object({ id: Id }, closed);
export type SandboxParams = Static<typeof SandboxParams>;
export const SandboxesReply = Type.Object({ sandboxes: Type.Array(Sandbox) }, closed);
export type SandboxesReply = Static<typeof SandboxesReply>;
/** From now, not from its end. */
export const ExtendRequest = Type.Object({ lifetimeMs: Milliseconds }, closed);
export type ExtendRequest = Static<typeof ExtendRequest>;

/** POST /v1/sandboxes/:id/publish. Published already: the same one. */
export const PublishRequest = Type.Object(
  {
    port: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** Those below 1024 are the owner's own. @default the number inside if it is free, else any */
    public: Type.Optional(Type.Integer({ minimum: 1_024, maximum: 65_535 })),
  },
  closed,
);
export type PublishRequest = Static<typeof PublishRequest>;
export const PublishParams = Type.Object({ id: Id, port: Type.Integer({ minimum: 1, maximum: 65_535 }) }, closed);
export type PublishParams = Static<typeof PublishParams>;

export const Stats = Type.Object(
  {
    id: Id,
    cpuMs: Type.Number({ minimum: 0 }),
    memoryBytes: Bytes,
    diskBytes: Bytes,
    pids: Type.Integer(),
    receivedBytes: Bytes,
    sentBytes: Bytes,
    /** Through this node's links: exec, ports, SSH, files. */
    linkBytes: Bytes,
  },
  closed,
);
export type Stats = Static<typeof Stats>;

export const LogsQuery = Type.Object(
  {
    follow: Type.Boolean({ default: false }),
    lines: Type.Integer({ minimum: 0, maximum: 100_000, default: 200 }),
  },
  closed,
);
export type LogsQuery = Static<typeof LogsQuery>;

// --- what a node offers ---

/** GET /v1/offer (guests): what may be asked for now, by this caller. */
export const Offer = Type.Object(
  {
    runtime: Type.Enum([...runtimeKinds]),
    profiles: Type.Array(Type.Enum([...profiles])),
    images: Type.Enum(["registry", "archives"]),
    /** Patterns that the owner allows; `*` for all. */
    allowedImages: Type.Array(Type.String()),
    free: Type.Object({ cpus: Type.Number(), memoryBytes: Bytes, diskBytes: Bytes, sandboxes: Type.Integer() }, closed),
    gpus: Type.Array(SandboxGpu),
    problems: Type.Array(Type.String()),
  },
  closed,
);
export type Offer = Static<typeof Offer>;
/** GET /v1/nodes/:node/offer (local): the same, asked of a node; what a person calls it. */
export const OfferParams = Type.Object({ node: Type.String({ minLength: 1, maxLength: 255 }) }, closed);
export type OfferParams = Static<typeof OfferParams>;

// --- the owner, at their own daemon ---

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

// --- the person, about what they hold elsewhere ---

/** POST /v1/boxes (local): answered with lines of BoxProgress and at last a Box. */
export const TouchRequest = Type.Object(
  {
    /** What a person types. Absent with `near`. */
    node: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
    /** The nearest joined node that fits. */
    near: Type.Optional(Type.Boolean()),
    /** With `near`, of several that are wanted the how manyth: the nodes are tried from that one on. @default 0 */
    turn: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000 })),
    ...Type.Partial(Type.Omit(CreateRequest, ["id", "sshKey"])).properties,
  },
  closed,
);
export type TouchRequest = Static<typeof TouchRequest>;

export const BoxProgress = Type.Object(
  {
    /** The node that it is about. */
    node: Type.String(),
    /** Absent while nodes are compared. */
    create: Type.Optional(CreateProgress),
    /** With `near`: why this one was passed over. */
    passedOver: Type.Optional(Type.String()),
  },
  closed,
);
export type BoxProgress = Static<typeof BoxProgress>;

export const BoxPort = Type.Object(
  {
    internal: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** 127.0.0.1, or the path of a Unix socket. */
    host: Type.String(),
    /** 0 behind a Unix socket. */
    local: Type.Integer({ minimum: 0, maximum: 65_535 }),
    url: Type.Optional(Type.String()),
  },
  closed,
);
export type BoxPort = Static<typeof BoxPort>;

/** POST /v1/boxes/:box/ports: opens a port of this machine, or a Unix socket, to one inside. Open already: the same one. */
export const BoxPortRequest = Type.Object(
  {
    internal: Type.Integer({ minimum: 1, maximum: 65_535 }),
    /** @default the number inside if it is free, else any; 0: any */
    local: Type.Optional(Type.Integer({ minimum: 0, maximum: 65_535 })),
    path: Type.Optional(Type.String({ minLength: 1, maxLength: 1_024 })),
  },
  closed,
);
export type BoxPortRequest = Static<typeof BoxPortRequest>;
export const BoxPortParams = Type.Object(
  { box: Type.String({ minLength: 1, maxLength: 128 }), port: Type.Integer({ minimum: 1, maximum: 65_535 }) },
  closed,
);
export type BoxPortParams = Static<typeof BoxPortParams>;

/** POST /v1/boxes/:box/publish. */
export const BoxPublished = Type.Object(
  {
    ...PublishedPort.properties,
    /** Where this machine reaches the node. Absent where it is not reached directly. */
    host: Type.Optional(Type.String()),
  },
  closed,
);
export type BoxPublished = Static<typeof BoxPublished>;

/** A sandbox that this person holds on somebody's node. */
export const Box = Type.Object(
  {
    node: Type.Object({ id: Node, name: Type.String() }, closed),
    sandbox: Sandbox,
    /** `lost`: the node does not answer; what is shown is what was last known. */
    reach: Type.Enum(["known", "lost"]),
    ports: Type.Array(BoxPort),
    /** Where `ssh` finds it on 127.0.0.1. */
    sshPort: Type.Optional(Type.Integer({ minimum: 1, maximum: 65_535 })),
  },
  closed,
);
export type Box = Static<typeof Box>;
/** GET /v1/boxes. ask: their nodes, for 2 s at most; else what they said last. */
export const BoxesQuery = Type.Object({ ask: Type.Boolean({ default: true }) }, closed);
export type BoxesQuery = Static<typeof BoxesQuery>;
export const BoxesReply = Type.Object({ boxes: Type.Array(Box) }, closed);
export type BoxesReply = Static<typeof BoxesReply>;
/** A name, an id, the start of one, or `name@node`. */
export const BoxParams = Type.Object({ box: Type.String({ minLength: 1, maxLength: 128 }) }, closed);
export type BoxParams = Static<typeof BoxParams>;

/** DELETE /v1/boxes/:box. Not done: its node does not answer; it is told as soon as it does. */
export const RemoveBoxReply = Type.Object(
  { id: Id, name: Type.String(), node: Type.Object({ id: Node, name: Type.String() }, closed), done: Type.Boolean() },
  closed,
);
export type RemoveBoxReply = Static<typeof RemoveBoxReply>;

/** GET /v1/doctor (local): whether this machine can lend safely. */
export const DoctorReply = Type.Object(
  {
    /** Absent: no sandbox can be made here. */
    runtime: Type.Optional(
      Type.Object(
        { kind: Type.Enum([...runtimeKinds]), version: Type.String(), problems: Type.Array(Type.String()) },
        closed,
      ),
    ),
    findings: Type.Array(
      Type.Object(
        {
          about: Type.String(),
          ok: Type.Boolean(),
          words: Type.String(),
          /** What to type. */
          fix: Type.Optional(Type.String()),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type DoctorReply = Static<typeof DoctorReply>;
