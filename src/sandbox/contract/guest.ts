/** Between nodes: what a guest asks of the owner's node, `/v1/sandboxes…` and its offer. Each sees their own alone. */

import { type Static, Type } from "typebox";
import { profiles, runtimeKinds } from "../runtime/runtime.ts";
import { HOST_KEY_PATTERN, USER_PATTERN } from "../words.ts";
import { closed, Id, Node, Bytes, WallTime, Milliseconds, Name, Image, SshKey } from "./pieces.ts";

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
    user: Type.String({ pattern: USER_PATTERN }),
    /** The public half of its host key, as in known_hosts: `ssh-ed25519 AAAA…`. Absent where SSH cannot be had, and why. */
    hostKey: Type.Optional(Type.String({ pattern: HOST_KEY_PATTERN })),
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
