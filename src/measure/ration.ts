/**
 * How much of other nodes' speed tests this node serves.
 *
 * Exact over any window, not on average: what happened in the last day is kept and counted. Strangers
 * have a ration each and one all together, so that a thousand keys cost no more than a few; those who
 * are known are counted apart, so that strangers cannot use up what is theirs.
 */

import type { Clock } from "../base/index.ts";
import { Failure } from "../core/index.ts";

export interface RationLimits {
  readonly testsPerHour: number;
  readonly bytesPerDay: number;
  /** Over everybody who shares this ration. */
  readonly totalBytesPerDay: number;
}

export const strangerLimits: RationLimits = { testsPerHour: 1, bytesPerDay: 200e6, totalBytesPerDay: 2e9 };
/** Own machines, guests, friends. Their bytes are bounded by the tests: 20 of 100 MB in an hour. */
export const knownLimits: RationLimits = {
  testsPerHour: 20,
  bytesPerDay: Number.POSITIVE_INFINITY,
  totalBytesPerDay: Number.POSITIVE_INFINITY,
};

/** One test that was begun. Whoever serves it adds what it cost. */
export interface Entry {
  readonly key: string;
  readonly at: number;
  bytes: number;
}

/** A test of less says more of the first round trips than of the line. */
const MIN_TEST_BYTES = 1e6;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Begun and broken off, a test costs nothing but its entry: this many of them a day are kept. */
export const MAX_ENTRIES = 4_096;

export class Ration {
  readonly #clock: Clock;
  readonly #limits: RationLimits;
  #entries: Entry[] = [];

  constructor(clock: Clock, limits: RationLimits) {
    this.#clock = clock;
    this.#limits = limits;
  }

  /** How many bytes `key` may still move today: 0 when too few to tell anything. */
  bytesLeft(key: string): number {
    const { bytesPerDay, totalBytesPerDay } = this.#limits;
    const own = sumBytes(this.#entries.filter((entry) => entry.key === key));
    const left = Math.min(bytesPerDay - own, totalBytesPerDay - sumBytes(this.#entries));
    return left < MIN_TEST_BYTES ? 0 : left;
  }

  /** Begins a test for `key`. @throws {Failure} too-often, with when to come again */
  begin(key: string): Entry {
    const now = this.#clock.now();
    this.#entries = this.#entries.filter((entry) => now - entry.at < DAY_MS);
    const wait = this.#waitMs(key, now);
    if (wait > 0) throw tooOften(wait);
    const entry: Entry = { key, at: now, bytes: 0 };
    this.#entries.push(entry);
    return entry;
  }

  #waitMs(key: string, now: number): number {
    const own = this.#entries.filter((entry) => entry.key === key);
    const lastHour = own.filter((entry) => now - entry.at < HOUR_MS);
    const { testsPerHour } = this.#limits;
    if (lastHour.length >= testsPerHour) return (lastHour.at(-testsPerHour)?.at ?? now) + HOUR_MS - now;
    if (this.#entries.length < MAX_ENTRIES && this.bytesLeft(key) > 0) return 0;
    return ((own.length > 0 ? own : this.#entries)[0]?.at ?? now) + DAY_MS - now;
  }
}

function sumBytes(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + entry.bytes, 0);
}

function tooOften(waitMs: number): Failure {
  const minutes = Math.max(1, Math.ceil(waitMs / 60_000));
  return new Failure("too-often", "this node has served you enough speed tests for now", {
    hint: `try again in ${minutes < 120 ? `${minutes} min` : `${Math.ceil(minutes / 60)} h`}`,
  });
}
