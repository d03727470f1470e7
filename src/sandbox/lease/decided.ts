/** A request with nothing left open: what a guest did not say, the grant and the runtime decide. */

import { Failure, type Grant } from "../../core/index.ts";
import type { CreateRequest } from "../contract.ts";
import { noRuntime } from "../runtime/late-runtime.ts";
import { type Profile, profiles, type RuntimeFacts } from "../runtime/runtime.ts";
import { chooseGpus } from "./gpu-choice.ts";
import { DISK_RESERVE_BYTES, type Guest, type House, lent, promisedDisk } from "./house.ts";
import { type Lease, nothingUsed } from "./lease.ts";

const DEFAULT_LIFETIME_MS = 2 * 3_600_000;
/** What one gets without saying: the share of `defaultGrant` for one of its two sandboxes. */
const DEFAULT_CPUS = 1;
const DEFAULT_MEMORY_BYTES = 1024 ** 3;
const DEFAULT_DISK_BYTES = 10 * 1024 ** 3;
/** A shell needs few; a build with many processes needs more, and a fork bomb is still a small one. */
const PIDS = 1_024;

/** @throws {Failure} bad-argument, not-supported, busy */
export function decided(request: CreateRequest, guest: Guest, house: House): Lease {
  const { facts, leases, wallTime } = house;
  const { grant } = guest;
  const profile = profileOf(request, facts);
  const network = networkOf(request, { profile, grant, facts });
  const held = new Set(leases.flatMap(({ gpus }) => gpus.map(({ uuid }) => uuid)));
  const lifetimeMs = request.lifetimeMs ?? defaultLifetime(grant, wallTime);
  return {
    id: request.id,
    guest: guest.id,
    name: request.name,
    image: request.image ?? null,
    ...(house.images?.wanted === undefined ? {} : { pushed: house.images.wanted.digest }),
    profile,
    cpus: request.cpus ?? atMost(DEFAULT_CPUS, "cpus", { grant, house }),
    memoryBytes: request.memoryBytes ?? atMost(DEFAULT_MEMORY_BYTES, "memoryBytes", { grant, house }),
    diskBytes: request.diskBytes ?? atMost(DEFAULT_DISK_BYTES, "diskBytes", { grant, house }),
    pids: PIDS,
    network,
    gpus: [...chooseGpus(request.gpu, { all: house.gpus, held })],
    command: request.command ?? null,
    ports: request.ports ?? 0,
    sshKey: request.sshKey,
    hostSeed: house.hostSeed,
    state: "making",
    holds: [],
    unsettled: false,
    reason: null,
    made: wallTime,
    lifetimeMs,
    expires: wallTime + lifetimeMs,
    leftMs: lifetimeMs,
    user: profile === "dev" ? "root" : "guest",
    hostKey: null,
    sshProblem: null,
    used: nothingUsed,
  };
}

function profileOf({ profile }: CreateRequest, facts: RuntimeFacts): Profile {
  const had = facts.profiles ?? profiles;
  if (had.length === 0) throw noRuntime(facts.problems);
  const chosen = profile ?? (had.includes("dev") ? "dev" : "strict");
  if (had.includes(chosen)) return chosen;
  throw new Failure("not-supported", `this node cannot make "${chosen}" sandboxes`, { hint: "leave `--profile` out" });
}

function networkOf(
  { network }: CreateRequest,
  { profile, grant, facts }: { readonly profile: Profile; readonly grant: Grant; readonly facts: RuntimeFacts },
): Lease["network"] {
  if (profile === "strict" && network === "internet")
    throw facts.profiles?.includes("dev") === false
      ? new Failure("not-supported", "this node makes strict sandboxes only, and those have no network", {
          hint: "use `--network none`, or choose another node",
        })
      : new Failure("bad-argument", "a strict sandbox has no network", { hint: "use `--profile dev`" });
  if (network === "internet" && !facts.walls.networkFilter)
    throw new Failure("not-supported", "this node cannot filter a sandbox's network, so it gives none", {
      hint: "use `--network none`; its owner's `p2prc doctor` says what is missing",
    });
  const granted = grant.kind === "own" || grant.network === "internet";
  return network ?? (profile === "dev" && granted && facts.walls.networkFilter ? "internet" : "none");
}

function defaultLifetime(grant: Grant, wallTime: number): number {
  if (grant.kind === "own") return DEFAULT_LIFETIME_MS;
  const untilEnd = (grant.until ?? Number.POSITIVE_INFINITY) - wallTime;
  return Math.max(1_000, Math.min(DEFAULT_LIFETIME_MS, grant.maxLifetimeMs, untilEnd));
}

/** A default is never what would be refused in every case. */
function atMost(
  amount: number,
  what: "cpus" | "memoryBytes" | "diskBytes",
  { grant, house }: { readonly grant: Grant; readonly house: House },
): number {
  const { machine, leases } = house;
  const free = Math.floor(machine.diskFreeBytes - DISK_RESERVE_BYTES - promisedDisk(leases));
  const has = { cpus: machine.cpus, memoryBytes: machine.memoryBytes, diskBytes: Math.max(DISK_RESERVE_BYTES, free) };
  const owned = Math.min(amount, has[what]);
  return grant.kind === "own" ? owned : Math.min(owned, grant[what], lent(house)[what]);
}
