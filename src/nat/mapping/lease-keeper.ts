/**
 * Keeps ports open on one router for one address of this machine, until it is told to give them back.
 *
 * The first way that opens the TCP port is taken. Then the router is asked every now and then whether it still knows,
 * and leases are renewed at half their life.
 */

import { type Clock, type Log, type Random, within } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { Gateway } from "./gateways.ts";
import type { Lease, Mapper, OpenMapper } from "./mapper.ts";
import type { MappingState } from "./state.ts";
import { rowsOf } from "./udp-rows.ts";

export interface LeaseKeeperDeps {
  readonly gateway: Gateway;
  readonly own: string;
  /** Best first. */
  readonly openers: readonly OpenMapper[];
  readonly report: (state: MappingState) => void;
  /** The first of the UDP ports that were opened last. */
  readonly udpBefore: () => number | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface Ports {
  readonly tcp: number;
  /** In a row. Where one of them is taken on the router, others are: see `udp-rows.ts`. */
  readonly udp: readonly number[];
}

/** What a router forgot is there again within a minute. */
const LOOK_MS = 40_000;
/** One lost packet, or a router that is busy, is no reason to begin anew. */
const AGAIN_MS = 3_000;
/** A router that is rebooted takes a minute or two, and one that cannot do it hardly learns. */
const FIRST_RETRY_MS = 5_000;
const LAST_RETRY_MS = 900_000;
/** Nobody waits longer at the end of a daemon. What stays behind ends with its lease. */
const GIVE_BACK_MS = 1_000;

interface Held {
  readonly mapper: Mapper;
  leases: readonly Lease[];
  renewAt: number;
}

/** Works until `signal` aborts, and then gives back what it holds. */
export async function keepLeases(deps: LeaseKeeperDeps, ports: Ports, signal: AbortSignal): Promise<void> {
  let retryMs = FIRST_RETRY_MS;
  while (!signal.aborted) {
    try {
      const held = await take(deps, ports, signal);
      retryMs = FIRST_RETRY_MS;
      await lookAfter(held, { deps, ports }, signal);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      deps.report({ kind: "failed", why: error.message, isRefusal: error.code === "not-allowed" });
      deps.log.debug("the router opens no ports", { router: deps.gateway.address, why: error.message });
    }
    await deps.clock.sleep(retryMs, signal);
    retryMs = Math.min(LAST_RETRY_MS, retryMs * 2);
  }
}

/** @throws {Failure} why no way opened the TCP port */
async function take(deps: LeaseKeeperDeps, ports: Ports, signal: AbortSignal): Promise<Held> {
  let refusal: Failure | undefined;
  for (const open of deps.openers) {
    try {
      const mapper = await open(deps, signal);
      try {
        return await mapAll(mapper, { deps, ports }, signal);
      } catch (error) {
        await mapper[Symbol.asyncDispose]();
        throw error;
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (error.code !== "unreachable") refusal ??= error;
    }
  }
  throw (
    refusal ?? new Failure("unreachable", `the router ${deps.gateway.address} answers neither PCP, NAT-PMP nor UPnP`)
  );
}

interface Task {
  readonly deps: LeaseKeeperDeps;
  readonly ports: Ports;
}

async function mapAll(mapper: Mapper, { deps, ports }: Task, signal: AbortSignal): Promise<Held> {
  const held: Held = { mapper, leases: [], renewAt: 0 };
  try {
    await renew(held, { deps, ports }, signal);
  } catch (error) {
    await giveBack(held, deps);
    throw error;
  }
  note(held, deps);
  return held;
}

/** All of it once more, by the same ports outside where they are to be had. @throws {Failure} */
async function renew(held: Held, { deps, ports }: Task, signal: AbortSignal): Promise<void> {
  const { mapper } = held;
  const [before, ...udp] = held.leases;
  const main = await mapper.map({ protocol: "tcp", port: ports.tcp }, before, signal);
  held.leases = [main, ...udp];
  for (const row of rowsOf(ports.udp, udp[0]?.port ?? deps.udpBefore())) {
    if ((await mapRow(held, row, signal)) !== "taken") return;
  }
}

/** The DHT's endpoints are of use only if all of them have their own ports outside. */
async function mapRow(held: Held, row: readonly number[], signal: AbortSignal): Promise<"mapped" | "taken" | "failed"> {
  const { mapper } = held;
  try {
    for (const port of row) {
      const before = held.leases.find((lease) => lease.protocol === "udp" && lease.port === port);
      const lease = await mapper.map({ protocol: "udp", port }, before, signal);
      held.leases = [...held.leases.filter((each) => each !== before), lease];
      if (lease.external !== port) throw new Failure("not-allowed", `UDP port ${port} is taken on the router`);
    }
    return "mapped";
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    for (const lease of held.leases.slice(1)) {
      await mapper.unmap(lease, signal);
      held.leases = held.leases.filter((each) => each !== lease);
    }
    return error.code === "not-allowed" ? "taken" : "failed";
  }
}

/** Sets when to renew, and says what is mapped. */
function note(held: Held, { clock, gateway, report, log }: LeaseKeeperDeps): void {
  const lifetimes = held.leases.map(({ lifetimeS }) => lifetimeS).filter((seconds) => seconds > 0);
  held.renewAt = clock.now() + (Math.min(...lifetimes, 86_400) * 1_000) / 2;
  const [tcp, ...udp] = held.leases;
  if (tcp === undefined) return;
  const { method } = held.mapper;
  const ports = { method, gateway: gateway.address, tcp: tcp.external, udp: udp[0]?.external, external: tcp.address };
  log.info("the router opened ports", { ...ports });
  report({ kind: "mapped", ports });
}

/** Ends with the signal, or when the router does not answer any more. */
async function lookAfter(held: Held, { deps, ports }: Task, signal: AbortSignal): Promise<void> {
  const { clock, report } = deps;
  try {
    for (;;) {
      await clock.sleep(LOOK_MS, signal);
      const isThere = await stillHolds(held, clock, signal);
      if (isThere && clock.now() < held.renewAt) continue;
      if (!isThere) report({ kind: "asking" });
      await renew(held, { deps, ports }, signal);
      note(held, deps);
    }
  } finally {
    await giveBack(held, deps);
    await held.mapper[Symbol.asyncDispose]();
  }
}

async function stillHolds({ mapper, leases }: Held, clock: Clock, signal: AbortSignal): Promise<boolean> {
  const [tcp] = leases;
  if (tcp === undefined) return false;
  try {
    return await mapper.holds(tcp, signal);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    await clock.sleep(AGAIN_MS, signal);
    return await mapper.holds(tcp, signal);
  }
}

/** With a time of its own: what asked for it has usually ended. */
async function giveBack(held: Held, { clock, gateway, own, log }: LeaseKeeperDeps): Promise<void> {
  const leases = held.leases;
  held.leases = [];
  const late = () => new Failure("timed-out", "the router does not answer");
  const ending = new AbortController().signal;
  const work = async (signal: AbortSignal) => {
    for (const lease of leases) await held.mapper.unmap(lease, signal);
  };
  try {
    await within({ clock, timeoutMs: GIVE_BACK_MS, late }, work, ending);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    // As when this machine has another address by now: nobody else may close what that one opened.
    const ports = leases.map(({ protocol, external }) => `${protocol} ${external}`);
    const endInS = Math.max(0, ...leases.map(({ lifetimeS }) => lifetimeS));
    const facts = { router: gateway.address, own, ports, endInS, why: error.message };
    log.info("the router did not take its ports back, which end with their leases", facts);
  }
}
