/**
 * Counts what comes out of a stream and throws it away: how many bytes, in how long.
 *
 * The receiver alone decides when it has had enough: at `maxBytes`, after `maxMs`, or when nothing came
 * for `STALL_MS`. It keeps no byte; then it stops reading, which holds the sender back, and its caller ends the
 * stream. So neither an endless body nor one byte a minute costs more than the time limit. Time runs from
 * the first byte to the last.
 */

import type { Readable } from "node:stream";
import { type Clock, Scope } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import type { Counted } from "./contract.ts";

export interface MeterOptions {
  readonly clock: Clock;
  readonly maxBytes: number;
  readonly maxMs: number;
  /** Told what was counted so far, a few times a second and at the end, however it ends. */
  readonly note?: (counted: Counted) => void;
}

/** Longer than a lost packet takes to come again on a bad line (RFC 6298: 1 s, then 2), shorter than a person waits. */
export const STALL_MS = 5_000;
const TICK_MS = 250;

/** @throws {Failure} timed-out when the sender stalls; link-lost when the stream breaks; bad-reply when it is empty */
export async function meter(source: Readable, options: MeterOptions, signal: AbortSignal): Promise<Counted> {
  signal.throwIfAborted();
  const count = new Count(source, options);
  const onAbort = () => count.fail(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    await using scope = new Scope(signal);
    scope.spawn((running) => count.watch(running));
    return await count.done;
  } finally {
    signal.removeEventListener("abort", onAbort);
    source.pause(); // also when it failed
    count.tell();
  }
}

class Count {
  readonly done: Promise<Counted>;
  readonly fail: (error: Error) => void;
  readonly #finish: () => void;
  readonly #options: MeterOptions;
  readonly #beganAt: number;
  #bytes = 0;
  #firstAt: number | undefined;
  #lastAt: number;

  constructor(source: Readable, options: MeterOptions) {
    const { promise, resolve, reject } = Promise.withResolvers<Counted>();
    this.#options = options;
    this.#beganAt = options.clock.now();
    this.#lastAt = this.#beganAt;
    this.done = promise;
    this.done.catch(() => undefined); // it may fail before anybody waits for it
    this.fail = reject;
    this.#finish = () => {
      source.pause(); // at once: not a chunk more than the cap
      if (this.#bytes > 0) resolve(this.#soFar());
      else reject(new Failure("bad-reply", "the test ended before a single byte came"));
    };
    source.on("data", (chunk: Uint8Array) => this.#take(chunk.length));
    source.once("end", this.#finish);
    source.on("error", (cause: Error) => reject(lost(cause))); // stays: how the stream ends later is no news
    source.once("close", () => reject(lost(undefined)));
    if (source.destroyed) reject(lost(source.errored ?? undefined)); // its events have been
  }

  /** Enforces the time limits, and tells how it goes. */
  async watch(signal: AbortSignal): Promise<void> {
    const { clock, maxMs } = this.#options;
    const endsAt = this.#beganAt + maxMs;
    while (clock.now() < endsAt) {
      await clock.sleep(Math.min(TICK_MS, endsAt - clock.now()), signal);
      this.tell();
      if (clock.now() - this.#lastAt >= STALL_MS) this.fail(stalled(this.#bytes));
    }
    this.#lastAt = clock.now(); // silence before the end is part of how slow it was
    this.#finish();
  }

  tell(): void {
    const { clock, note } = this.#options;
    if (this.#firstAt !== undefined) note?.({ bytes: this.#bytes, ms: clock.now() - this.#firstAt });
  }

  #take(length: number): void {
    this.#lastAt = this.#options.clock.now();
    this.#firstAt ??= this.#lastAt;
    this.#bytes = Math.min(this.#options.maxBytes, this.#bytes + length);
    if (this.#bytes === this.#options.maxBytes) this.#finish();
  }

  #soFar(): Counted {
    return { bytes: this.#bytes, ms: this.#lastAt - (this.#firstAt ?? this.#lastAt) };
  }
}

/** Bytes in a second; a test that took less than a millisecond counts as one. */
export function bytesPerSecond({ bytes, ms }: Counted): number {
  return (bytes * 1_000) / Math.max(1, ms);
}

function stalled(bytes: number): Failure {
  return new Failure(
    "timed-out",
    `the speed test stalled: nothing came for ${STALL_MS / 1_000} s after ${bytes} bytes`,
    {
      hint: "try again; `p2prc why NODE` shows how the node is reached",
    },
  );
}

function lost(cause: unknown): Failure {
  if (cause instanceof Failure) return cause;
  return new Failure("link-lost", "the link broke during the speed test", {
    cause,
    hint: "try again; `p2prc why NODE` shows the attempts",
  });
}
