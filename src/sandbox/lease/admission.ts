/**
 * Whether a sandbox may be made, and with what in it: decided at once, from what is known, before anything is done.
 *
 * Three things say no: what the guest was granted, what the owner lends to all guests together, and what the machine has.
 * Nothing waits in a queue: a refusal says by how much it was too much, and what is allowed.
 */

import { type Demand, exceeds, Failure, formatDuration, formatSize, type Grant, isLive } from "../../core/index.ts";
import type { CreateRequest, LendLimits } from "../contract.ts";
import { decided } from "./decided.ts";
import { DISK_RESERVE_BYTES, type Guest, type House, lent, promisedDisk, pushedBytes, total } from "./house.ts";
import { isImageAllowed } from "./image-list.ts";
import type { Lease } from "./lease.ts";

/** Below this the resident itself does not live. */
const MIN_MEMORY_BYTES = 64 * 1024 ** 2;
const MIN_DISK_BYTES = 1024 ** 2;

/** @throws {Failure} not-allowed, busy, not-supported, bad-argument */
export function admit(request: CreateRequest, guest: Guest, house: House): Lease {
  const lease = decided(request, guest, house);
  refuseBeyondGrant(lease, guest, house);
  if (guest.grant.kind !== "own") {
    refuseMissingWalls(lease, house);
    refuseImage(lease, house);
    refuseBeyondLimits(lease, house);
  }
  refuseBeyondMachine(lease, house);
  return lease;
}

/** How long a sandbox may live from now on. @throws {Failure} not-allowed */
export function admitLifetime(lifetimeMs: number, { grant }: Guest, wallTime: number): void {
  refuse([
    ...exceeds(grant, { lifetimeMs }).map(({ why }) => why),
    ...(isLive(grant, wallTime + lifetimeMs - 1) ? [] : [pastTheEnd(lifetimeMs, grant, wallTime)]),
  ]);
}

function refuseBeyondGrant(lease: Lease, guest: Guest, house: House): void {
  const { leases, wallTime } = house;
  const { grant, id } = guest;
  if (lease.memoryBytes < MIN_MEMORY_BYTES || lease.diskBytes < MIN_DISK_BYTES || lease.cpus <= 0)
    throw new Failure("not-allowed", "that is too little for a sandbox to live on", {
      hint: `ask for at least ${formatSize(MIN_MEMORY_BYTES)} of memory and ${formatSize(MIN_DISK_BYTES)} of disk`,
    });
  const all = [...leases.filter((other) => other.guest === id), lease];
  const demand: Demand = {
    sandboxes: all.length,
    cpus: total(all, "cpus"),
    memoryBytes: total(all, "memoryBytes"),
    diskBytes: total(all, "diskBytes") + pushedBytes(house),
    gpus: all.reduce((count, { gpus }) => count + gpus.length, 0),
    lifetimeMs: lease.lifetimeMs,
    network: lease.network,
    ports: total(all, "ports"),
  };
  const whys = exceeds(grant, demand).map(({ why }) => why);
  if (grant.kind !== "own" && !isLive(grant, wallTime + lease.lifetimeMs - 1))
    whys.push(pastTheEnd(lease.lifetimeMs, grant, wallTime));
  refuse(whys);
}

function pastTheEnd(lifetimeMs: number, { until = 0 }: Grant, wallTime: number): string {
  const leftMs = Math.max(0, until - wallTime);
  return `${formatDuration(lifetimeMs)} of lifetime, the grant itself ends in ${formatDuration(leftMs)}`;
}

function refuse(whys: readonly string[]): void {
  if (whys.length === 0) return;
  throw new Failure("not-allowed", `the grant does not allow it: ${whys.join("; ")}`, {
    hint: "ask for less, remove a sandbox (`p2prc ps`), or ask the owner for more",
  });
}

function refuseMissingWalls({ network }: Lease, { facts, limits }: House): void {
  const always = ["memoryLimit", "pidsLimit", "seccomp"] as const;
  const needed = network === "none" ? always : ([...always, "networkFilter"] as const);
  const missing = needed.filter((wall) => !facts.walls[wall] && limits.accept?.includes(wall) !== true);
  if (missing.length === 0) return;
  throw new Failure("not-supported", `this node does not lend: its sandboxes would lack ${missing.join(", ")}`, {
    hint: `its owner can mend that (\`p2prc doctor\`), or accept it with \`p2prc lend --accept ${missing.join(",")}\``,
  });
}

function refuseImage({ image, pushed }: Lease, { limits }: House): void {
  const patterns = limits.images ?? ["*"];
  if (image === null) return;
  if (pushed !== undefined) {
    admitPushed(image, limits);
    return;
  }
  if (isImageAllowed(image, patterns)) return;
  throw new Failure("not-allowed", `the owner does not allow the image "${image}"`, {
    hint: patterns.length === 0 ? "leave `--image` out" : `allowed are ${patterns.slice(0, 8).join(", ")}`,
  });
}

/**
 * What a guest calls an image says nothing of what is in it, so those that were pushed go by `pushed/<name>`: who allows
 * `debian:*` does not allow whatever somebody calls `debian:bookworm`.
 * @throws {Failure} not-allowed
 */
export function admitPushed(name: string, { images = ["*"] }: Pick<LendLimits, "images">): void {
  if (isImageAllowed(`pushed/${name}`, images)) return;
  throw new Failure("not-allowed", `the owner does not allow that "${name}" is pushed here`, {
    hint: "ask the owner: `p2prc lend --images 'pushed/**'` allows it, beside what else is named",
  });
}

function refuseBeyondLimits(lease: Lease, house: House): void {
  const limits = lent(house);
  const others = house.leases.filter(({ guest }) => !house.isOwn(guest));
  const rows = [
    { word: "sandbox", asked: 1, taken: others.length, limit: limits.sandboxes, show: String },
    { word: coresWord(lease), asked: lease.cpus, taken: total(others, "cpus"), limit: limits.cpus, show: cores },
    ...amounts(lease, others, limits),
  ];
  for (const row of rows) refuseAmount({ ...row, whose: "this node lends" });
}

function amounts(
  lease: Lease,
  others: readonly Lease[],
  { memoryBytes, diskBytes }: { readonly memoryBytes: number; readonly diskBytes: number },
) {
  const taken = { memory: total(others, "memoryBytes"), disk: total(others, "diskBytes") };
  return [
    { word: "of memory", asked: lease.memoryBytes, taken: taken.memory, limit: memoryBytes, show: roundedSize },
    { word: "of disk", asked: lease.diskBytes, taken: taken.disk, limit: diskBytes, show: roundedSize },
  ];
}

/** Cores are shares and may be promised twice; memory and disk may not. */
function refuseBeyondMachine(lease: Lease, { machine, leases }: House): void {
  const disk = Math.max(0, machine.diskFreeBytes - DISK_RESERVE_BYTES);
  const rows = [
    { word: coresWord(lease), asked: lease.cpus, taken: 0, limit: machine.cpus, show: cores },
    {
      word: "of memory",
      asked: lease.memoryBytes,
      taken: total(leases, "memoryBytes"),
      limit: machine.memoryBytes,
      show: roundedSize,
    },
    { word: "of disk", asked: lease.diskBytes, taken: promisedDisk(leases), limit: disk, show: roundedSize },
  ];
  for (const row of rows) refuseAmount({ ...row, whose: "this machine has" });
}

interface AmountRow {
  readonly whose: string;
  readonly word: string;
  readonly asked: number;
  readonly taken: number;
  readonly limit: number;
  readonly show: (amount: number) => string;
}

function refuseAmount({ whose, word, asked, taken, limit, show }: AmountRow): void {
  const over = taken + asked - limit;
  if (over <= 0) return;
  const never = asked > limit;
  const free = show(Math.max(0, limit - taken));
  throw new Failure(
    never ? "not-allowed" : "busy",
    `${show(asked)} ${word} wanted, ${whose} ${show(Math.max(0, limit))}, of which ${free} free (${show(over)} too much)`,
    { hint: never ? "ask for less, or choose another node" : "ask for less, or try again when a sandbox has ended" },
  );
}

function coresWord({ cpus }: Lease): string {
  return cpus === 1 ? "core" : "cores";
}

function cores(amount: number): string {
  return String(Math.round(amount * 1_000) / 1_000);
}

/** Free space is seldom a round number. */
function roundedSize(bytes: number): string {
  const [size, unit] = bytes >= 1024 ** 3 ? [1024 ** 3, "GiB"] : [1024 ** 2, "MiB"];
  return `${Math.round((bytes / size) * 10) / 10} ${unit}`;
}
