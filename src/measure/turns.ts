/**
 * One speed test at a time is served here, and whose turn it is.
 *
 * A test is one download and one upload by the same key, in that order or either alone; the key is
 * the ticket. The turn is kept for `KEPT_MS` between the two, so that nobody slips in, and lasts at
 * most `MAX_TURN_MS`. There is no queue: everybody else hears `busy` and when to come again.
 */

import type { Clock } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { type Counted, MAX_TEST_BYTES, MAX_TEST_MS } from "./contract.ts";
import type { Entry, Ration } from "./ration.ts";

export type Direction = "download" | "upload";

/** One direction of a test that may run now. */
export interface Turn {
  readonly maxBytes: number;
  /** What the other direction sent before, where it was a download. */
  readonly downloaded: Counted | undefined;
  /** Ends it and says what it cost. Ending twice is the same as once. */
  end(moved: Counted): void;
}

interface Current {
  readonly key: string;
  readonly entry: Entry;
  readonly beganAt: number;
  readonly done: Set<Direction>;
  running: boolean;
  idleSince: number;
  downloaded: Counted | undefined;
}

/** Enough for an asker far away to begin the second half. */
export const KEPT_MS = 3_000;
const MAX_TURN_MS = 2 * MAX_TEST_MS + KEPT_MS;

export class Turns {
  readonly #clock: Clock;
  #current: Current | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @throws {Failure} busy, too-often */
  begin(direction: Direction, key: string, ration: Ration): Turn {
    const current = this.#mine(direction, key) ?? this.#next(key, ration);
    const maxBytes = Math.min(MAX_TEST_BYTES, ration.bytesLeft(key));
    if (maxBytes === 0)
      throw new Failure("too-often", "this node has served you enough bytes for today", { hint: "try again tomorrow" });
    current.running = true;
    current.done.add(direction);
    let ended = false;
    return {
      maxBytes,
      downloaded: current.downloaded,
      end: (moved) => {
        if (ended) return;
        ended = true;
        current.running = false;
        current.idleSince = this.#clock.now();
        current.entry.bytes += moved.bytes;
        if (direction === "download") current.downloaded = moved;
      },
    };
  }

  /** The turn that `key` has already begun and that lacks this direction. */
  #mine(direction: Direction, key: string): Current | undefined {
    const current = this.#held();
    if (current === undefined || current.key !== key || current.running || current.done.has(direction))
      return undefined;
    return current;
  }

  #next(key: string, ration: Ration): Current {
    const held = this.#held();
    if (held !== undefined && (held.running || held.key !== key)) throw busy(held, this.#clock.now());
    const now = this.#clock.now();
    this.#current = {
      key,
      entry: ration.begin(key),
      beganAt: now,
      done: new Set(),
      running: false,
      idleSince: now,
      downloaded: undefined,
    };
    return this.#current;
  }

  #held(): Current | undefined {
    const current = this.#current;
    if (current === undefined || current.running) return current;
    const over = current.done.size === 2 || this.#clock.now() - current.idleSince >= KEPT_MS;
    return over ? undefined : current;
  }
}

function busy(held: Current, now: number): Failure {
  const seconds = Math.max(1, Math.ceil((held.beganAt + MAX_TURN_MS - now) / 1_000));
  return new Failure("busy", "this node is in the middle of another speed test", { hint: `try again in ${seconds} s` });
}
