/**
 * The addresses of this machine that others may be told of, best first: public ones, and those in
 * networks that a person named. IPv6 before IPv4; at most the four that a record holds.
 *
 * LAN addresses are told by multicast DNS and in invites only: outside they mean nothing, and say more
 * about a home than its owner meant to.
 */

import { networkInterfaces } from "node:os";
import { isIPv6 } from "node:net";
import { type Clock, Topic } from "../base/index.ts";
import { type AllowedNetworks, classifyAddress } from "../core/index.ts";

const MAX_ADDRESSES = 4;
/** A laptop that changes its network is noticed within this: links are proved after it, and made anew within 5 s in all. */
const LOOK_EVERY_MS = 1_000;
/** The calendar went on for so much longer than the clock: the machine slept, or was stopped. */
const SLEPT_MS = 5_000;

/**
 * came: addresses came and none went, so that what runs may run on. changed: one went. slept: the machine did, or was stopped, and may be
 * anywhere.
 */
export type Move = "came" | "changed" | "slept";

export interface OwnAddressesDeps {
  readonly allowed: AllowedNetworks;
  readonly clock: Clock;
  /** What the system has. @default its interfaces */
  readonly interfaces?: () => readonly string[];
}

export class OwnAddresses {
  readonly changes = new Topic<readonly string[]>();
  /** Addresses that others could use changed, or the machine slept. The cables of containers (`veth`) come and go with link-local ones alone. */
  readonly moves = new Topic<Move>();
  readonly #deps: OwnAddressesDeps;
  #all: readonly string[];

  constructor(deps: OwnAddressesDeps) {
    this.#deps = deps;
    this.#all = this.#look();
  }

  get all(): readonly string[] {
    return this.#all;
  }

  /** For the record. @param listening the addresses that were named to listen on; none: all */
  told(listening: readonly string[]): readonly string[] {
    const { allowed } = this.#deps;
    const mayBeTold = (address: string) => allowed.includes(address) || classifyAddress(address) === "public";
    return this.#heardOn(listening).filter(mayBeTold).sort(sixFirst).slice(0, MAX_ADDRESSES);
  }

  /** For the LAN and invites: everything but loopback, unless that was named. */
  near(listening: readonly string[]): readonly string[] {
    return this.#heardOn(listening)
      .filter((address) => this.#isUseful(address))
      .sort(sixFirst);
  }

  /** Looks again and again until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      const [before, wallBefore] = [clock.now(), clock.wallTime()];
      await clock.sleep(LOOK_EVERY_MS, signal);
      const found = this.#look();
      const move = this.#moveTo(found);
      this.#all = found;
      if (move !== undefined) this.changes.publish(found);
      // Most clocks stand still while a machine sleeps, some do not.
      const lasted = Math.max(clock.now() - before, clock.wallTime() - wallBefore);
      const slept = lasted > LOOK_EVERY_MS + SLEPT_MS;
      if (slept) this.moves.publish("slept");
      else if (move !== undefined) this.moves.publish(move);
    }
  }

  #moveTo(found: readonly string[]): "came" | "changed" | undefined {
    const useful = (addresses: readonly string[]) => new Set(addresses.filter((address) => this.#isUseful(address)));
    const [before, now] = [useful(this.#all), useful(found)];
    if (!before.isSubsetOf(now)) return "changed";
    return now.isSubsetOf(before) ? undefined : "came";
  }

  #isUseful(address: string): boolean {
    const kind = classifyAddress(address);
    return this.#deps.allowed.includes(address) || (kind !== "loopback" && kind !== "linklocal");
  }

  #heardOn(listening: readonly string[]): string[] {
    const everyFour = listening.includes("0.0.0.0");
    const everySix = listening.includes("::");
    if (everySix || listening.length === 0) return [...this.#all];
    const named = listening.filter((address) => address !== "0.0.0.0");
    return [...named, ...(everyFour ? this.#all.filter((address) => !isIPv6(address)) : [])];
  }

  #look(): readonly string[] {
    return [...new Set((this.#deps.interfaces ?? systemInterfaces)())];
  }
}

function systemInterfaces(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((found) => (found ?? []).map(({ address }) => address));
}

function sixFirst(a: string, b: string): number {
  return Number(isIPv6(b)) - Number(isIPv6(a));
}
