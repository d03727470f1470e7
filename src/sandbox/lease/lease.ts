/**
 * A lease: a guest's right to one sandbox until a time, with all that was decided about it.
 *
 * It is written before anything is done for it, so what it says is what is wanted, not what is there; the two are
 * brought together again by whoever reconciles.
 */

import { type Static, Type } from "typebox";
import type { NodeId } from "../../core/index.ts";
import type { Sandbox } from "../contract.ts";
import { type GpuDevice, profiles, type RuntimeKind, type SandboxSpec } from "../runtime/runtime.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";

const WallTime = Type.Integer();
const Gpu = Type.Object({
  vendor: Type.Enum(["nvidia", "amd"]),
  index: Type.Integer(),
  uuid: Type.String(),
  model: Type.String(),
  memoryBytes: Type.Number(),
});

/** Why a sandbox is frozen; it goes on when none is left. walls: the check of its walls failed; quota: its disk is full. */
export const holdKinds = ["owner", "panic", "walls", "quota"] as const;
export type HoldKind = (typeof holdKinds)[number];

/** What was used so far, as last sampled. */
export const Used = Type.Object({
  cpuMs: Type.Number(),
  memoryByteSeconds: Type.Number(),
  receivedBytes: Type.Number(),
  sentBytes: Type.Number(),
  linkBytes: Type.Number(),
  diskBytes: Type.Number(),
});
export type Used = Static<typeof Used>;
export const nothingUsed: Used = Object.freeze({
  cpuMs: 0,
  memoryByteSeconds: 0,
  receivedBytes: 0,
  sentBytes: 0,
  linkBytes: 0,
  diskBytes: 0,
});

export const Lease = Type.Object({
  id: Type.Unsafe<SandboxId>(Type.String()),
  guest: Type.Unsafe<NodeId>(Type.String()),
  name: Type.String(),
  image: Type.Union([Type.String(), Type.Null()]),
  /** The digest of what `image` stands for, where its guest has pushed it. */
  pushed: Type.Optional(Type.String()),
  profile: Type.Enum([...profiles]),
  cpus: Type.Number(),
  memoryBytes: Type.Number(),
  diskBytes: Type.Number(),
  pids: Type.Integer(),
  network: Type.Enum(["none", "internet"]),
  gpus: Type.Array(Gpu),
  command: Type.Union([Type.Array(Type.String()), Type.Null()]),
  ports: Type.Integer(),
  sshKey: Type.String(),
  /** 32 bytes in base64, from which the sandbox's host key is made. */
  hostSeed: Type.String(),
  /** What is wanted: `paused` follows from `holds`. */
  state: Type.Enum(["making", "running", "stopped", "removing"]),
  holds: Type.Array(Type.Object({ kind: Type.Enum([...holdKinds]), why: Type.String() })),
  /** A change of `holds` that the runtime has not confirmed. */
  unsettled: Type.Boolean(),
  /** Why it stopped, or is removed. */
  reason: Type.Union([Type.String(), Type.Null()]),
  made: WallTime,
  lifetimeMs: Type.Integer(),
  expires: WallTime,
  /** What was left of its time when that was last written: a calendar that goes back while nobody runs adds nothing. */
  leftMs: Type.Number(),
  user: Type.String(),
  hostKey: Type.Union([Type.String(), Type.Null()]),
  sshProblem: Type.Union([Type.String(), Type.Null()]),
  used: Used,
});
export type Lease = Static<typeof Lease>;

/** Left of its time when people are warned that it ends. */
export const SOON_MS = 10 * 60_000;

export function isPaused({ state, holds }: Pick<Lease, "state" | "holds">): boolean {
  return state === "running" && holds.length > 0;
}

export function specOf(lease: Lease, node: NodeId): SandboxSpec {
  const { id, name, profile, cpus, memoryBytes, diskBytes, pids, network } = lease;
  return {
    ...{ id, name, profile, cpus, memoryBytes, diskBytes, pids, network },
    image: lease.image ?? undefined,
    gpus: lease.gpus satisfies readonly GpuDevice[],
    command: lease.command ?? undefined,
    labels: {
      "p2prc.node": node,
      "p2prc.guest": lease.guest,
      "p2prc.expires": new Date(lease.expires).toISOString(),
      "p2prc.name": name,
    },
  };
}

/** The lease as its guest and the owner see it. */
export function shown(lease: Lease, runtime: RuntimeKind, leftMs: number): Sandbox {
  const { id, name, guest, profile, cpus, memoryBytes, diskBytes, network, ports, made, expires, user } = lease;
  const reason = isPaused(lease) ? lease.holds.map(({ why }) => why).join("; ") : (lease.reason ?? undefined);
  return {
    ...{ id, name, guest, runtime, profile, cpus, memoryBytes, diskBytes, network, ports, made, expires, user },
    state: isPaused(lease) ? "paused" : lease.state,
    ...(reason === undefined ? {} : { reason }),
    ...(lease.image === null ? {} : { image: lease.image }),
    gpus: lease.gpus.map(({ index, model, memoryBytes: bytes }) => ({ index, model, memoryBytes: bytes })),
    ...(leftMs <= SOON_MS ? { endsSoon: true } : {}),
    ...(lease.hostKey === null ? {} : { hostKey: lease.hostKey }),
    ...(lease.sshProblem === null ? {} : { sshProblem: lease.sshProblem }),
  };
}
