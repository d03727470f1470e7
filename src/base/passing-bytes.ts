/**
 * Room in the heap while many bytes pass through this process.
 *
 * They lie outside of the heap, but V8 marks all of it whenever they have grown by 9 MB since it did so before: with two layers
 * of TLS for every few megabytes that pass, which costs more than passing them. So while they pass the heap may
 * grow to twice its size first. When that is over it is swept, and kept as small as before.
 */

import { setFlagsFromString } from "node:v8";
import { sweepHeap } from "./small-heap.ts";

export interface PassingBytesDeps {
  /** How much the heap may grow by, in percent, before all of it is marked. 0: as V8 thinks. */
  readonly mayGrow: (percent: number) => void;
  readonly sweep: () => void;
  /** @returns what keeps `work` from being done */
  readonly later: (ms: number, work: () => void) => () => void;
}

/** Less than this is no bulk. */
const BULK_BYTES = 16 * 1024 * 1024;
const BULK_PERCENT = 120;
const OVER_MS = 10_000;

export class PassingBytes {
  readonly #deps: PassingBytesDeps;
  #bytes = 0;
  #isBulk = false;
  #cancel: () => void = () => {};

  constructor(deps: PassingBytesDeps) {
    this.#deps = deps;
  }

  /** So many more have passed. */
  add(bytes: number): void {
    if (this.#bytes === 0 && !this.#isBulk) this.#restart();
    this.#bytes += bytes;
    if (this.#bytes < BULK_BYTES) return;
    this.#bytes = 0;
    if (!this.#isBulk) this.#deps.mayGrow(BULK_PERCENT);
    this.#isBulk = true;
    this.#restart();
  }

  #restart(): void {
    this.#cancel();
    this.#cancel = this.#deps.later(OVER_MS, () => this.#over());
  }

  #over(): void {
    this.#bytes = 0;
    if (!this.#isBulk) return;
    this.#isBulk = false;
    this.#deps.mayGrow(0);
    this.#deps.sweep();
  }
}

/** Those of this process: its heap is one. */
export const passingBytes = new PassingBytes({
  mayGrow: (percent) => setFlagsFromString(`--heap-growing-percent=${percent}`),
  sweep: sweepHeap,
  later: (ms, work) => {
    const timer = setTimeout(work, ms).unref(); // a process ends without waiting for it
    return () => clearTimeout(timer);
  },
});
