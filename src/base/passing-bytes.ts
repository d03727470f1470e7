/**
 * Frees what many bytes that pass through this process leave behind, while it is cheap.
 *
 * They lie outside of the heap, and V8 marks all of it whenever they have grown by 64 MB: with two layers of TLS for every 30 MB
 * that pass, which cost more than passing them. But the small objects that hold them die young, and to collect the young ones
 * alone takes a third of a millisecond. Where V8 does that by itself often enough, it is not done.
 */

import { getHeapStatistics } from "node:v8";
import { collectYoung } from "./small-heap.ts";

export interface PassingBytesDeps {
  /** Bytes outside of the heap that something in it holds, dead or alive. */
  readonly held: () => number;
  readonly collect: () => void;
}

const LOOK_EVERY_BYTES = 4 * 1024 * 1024;
/** More than were left by the last collection. */
const GROWN_BYTES = 16 * 1024 * 1024;

export class PassingBytes {
  readonly #deps: PassingBytesDeps;
  #sinceLook = 0;
  #left = Number.POSITIVE_INFINITY;

  constructor(deps: PassingBytesDeps) {
    this.#deps = deps;
  }

  /** So many more have passed. */
  add(bytes: number): void {
    this.#sinceLook += bytes;
    if (this.#sinceLook < LOOK_EVERY_BYTES) return;
    this.#sinceLook = 0;
    const held = this.#deps.held();
    this.#left = Math.min(this.#left, held);
    if (held - this.#left < GROWN_BYTES) return;
    this.#deps.collect();
    this.#left = this.#deps.held();
  }
}

/** Those of this process: its heap is one. */
export const passingBytes = new PassingBytes({
  held: () => getHeapStatistics().external_memory,
  collect: collectYoung,
});
