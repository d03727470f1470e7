/** What a node has, what it lends of that, and what is left: the sums that admission decides by. */

import type { Grant, NodeId } from "../../core/index.ts";
import type { LendLimits } from "../contract.ts";
import type { GpuDevice, RuntimeFacts } from "../runtime/runtime.ts";
import type { Lease } from "./lease.ts";

export interface Machine {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskFreeBytes: number;
}

export interface Guest {
  readonly id: NodeId;
  readonly grant: Grant;
}

/** All that a decision is made from. */
export interface House {
  readonly facts: RuntimeFacts;
  readonly machine: Machine;
  readonly limits: LendLimits;
  readonly gpus: readonly GpuDevice[];
  /** Every lease there is, whoever holds it. */
  readonly leases: readonly Lease[];
  /** Whether the holder of a lease is another machine of the owner's. */
  readonly isOwn: (guest: NodeId) => boolean;
  /** What the guest has pushed here. */
  readonly images?: { readonly bytes: number; readonly wanted?: { readonly digest: string } | undefined };
  readonly wallTime: number;
  /** Fresh randomness for the host key of a sandbox, in base64. */
  readonly hostSeed: string;
}

/** Left for the owner, whatever is asked for. */
export const DISK_RESERVE_BYTES = 1024 ** 3;
const DEFAULT_SANDBOXES = 8;

/**
 * What the owner lends to all guests together. Cores are shared and the owner's own programs come first (a sandbox has an
 * eighth of their weight), so all of them are lent; memory is not shared, so half of it is kept.
 */
export function lent({ machine, limits }: Pick<House, "machine" | "limits">) {
  return {
    cpus: limits.cpus ?? machine.cpus,
    memoryBytes: limits.memoryBytes ?? machine.memoryBytes / 2,
    diskBytes: limits.diskBytes ?? Number.MAX_SAFE_INTEGER,
    sandboxes: limits.sandboxes ?? DEFAULT_SANDBOXES,
  };
}

/** What sandboxes were promised and have not filled yet: what they filled is no longer free. */
export function promisedDisk(leases: readonly Lease[]): number {
  return leases.reduce((bytes, { diskBytes, used }) => bytes + Math.max(0, diskBytes - used.diskBytes), 0);
}

/** It counts as the guest's disk, as what is in their sandboxes does. */
export function pushedBytes({ images }: Pick<House, "images">): number {
  return images?.bytes ?? 0;
}

/** What `guest` could ask for now. */
export function freeFor(guest: Guest, house: House) {
  const { machine, leases, isOwn } = house;
  const own = guest.grant.kind === "own";
  const mine = leases.filter((lease) => lease.guest === guest.id);
  const others = leases.filter((lease) => !isOwn(lease.guest));
  const limits = lent(house);
  const free = (what: "cpus" | "memoryBytes" | "diskBytes", machineFree: number) =>
    Math.max(
      0,
      own
        ? machineFree
        : Math.min(
            machineFree,
            limits[what] - total(others, what),
            guest.grant[what] - total(mine, what) - (what === "diskBytes" ? pushedBytes(house) : 0),
          ),
    );
  return {
    cpus: free("cpus", machine.cpus),
    memoryBytes: Math.floor(free("memoryBytes", machine.memoryBytes - total(leases, "memoryBytes"))),
    diskBytes: Math.floor(free("diskBytes", machine.diskFreeBytes - DISK_RESERVE_BYTES - promisedDisk(leases))),
    sandboxes: own
      ? 10_000
      : Math.max(0, Math.min(limits.sandboxes - others.length, guest.grant.sandboxes - mine.length)),
  };
}

export function total(leases: readonly Lease[], what: "cpus" | "memoryBytes" | "diskBytes" | "ports"): number {
  return leases.reduce((all, lease) => all + lease[what], 0);
}
