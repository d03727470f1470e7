/**
 * Frees what many bytes that pass through this process leave behind, while it is cheap.
 *
 * They lie outside of the heap, and V8 marks all of it whenever they have grown by 64 MB: with two layers of TLS for every 30 MB
 * that pass, which cost more than passing them. But the small objects that hold them die young, and to collect the young
 * ones alone, earlier than V8 would, takes a third of a millisecond.
 */

import { collectYoung } from "./small-heap.ts";

/** Each layer counts them once more. */
const EVERY_BYTES = 16 * 1024 * 1024;

export class PassingBytes {
  readonly #collect: () => void;
  #bytes = 0;

  constructor(collect: () => void) {
    this.#collect = collect;
  }

  /** So many more have passed. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < EVERY_BYTES) return;
    this.#bytes = 0;
    this.#collect();
  }
}

/** Those of this process: its heap is one. */
export const passingBytes = new PassingBytes(collectYoung);
