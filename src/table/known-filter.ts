/**
 * What the asker holds already, as a Bloom filter, so that nobody sends what the other one knows.
 *
 * It holds (id, seq) pairs at ten bits each: one record in a hundred is mistaken for known, and is
 * heard from the next neighbour, whose filter has another salt. Both ends compute the same hash, so the
 * constants here are part of the protocol.
 */

import type { TableQuestion } from "./contract.ts";

type Filter = NonNullable<TableQuestion["known"]>;

const BITS_PER_ENTRY = 10;
/** Optimal for ten bits an entry is 7; 5 costs a fifth more mistakes and a third less work. */
const HASHES = 5;
/** 8 KiB. With more entries than fit, more are mistaken for known, and heard elsewhere or later. */
const MAX_BYTES = 8192;

/**
 * @param marks of what is held, by `fingerprint`
 * @param salt 32 bits, fresh for each question
 */
export function encodeFilter(marks: readonly number[], salt: number): Filter {
  const bytes = new Uint8Array(Math.min(MAX_BYTES, Math.ceil((marks.length * BITS_PER_ENTRY) / 8)));
  const size = bytes.length * 8;
  for (const mark of marks) {
    const first = mix(mark ^ salt);
    const step = stepOf(first);
    for (let i = 0; i < HASHES; i++) {
      const bit = bitAt(first, step, i) % size;
      bytes[bit >>> 3] = (bytes[bit >>> 3] as number) | (1 << (bit & 7));
    }
  }
  return { salt, bits: Buffer.from(bytes).toString("base64url") };
}

/** A test for fingerprints. A filter that is absent or empty knows nothing. */
export function decodeFilter(filter: Filter | undefined): (mark: number) => boolean {
  const bytes = Buffer.from(filter?.bits ?? "", "base64url");
  if (filter === undefined || bytes.length === 0) return () => false;
  const { salt } = filter;
  const size = bytes.length * 8;
  return (mark) => {
    const first = mix(mark ^ salt);
    const step = stepOf(first);
    for (let i = 0; i < HASHES; i++) {
      const bit = bitAt(first, step, i) % size;
      if (((bytes[bit >>> 3] as number) & (1 << (bit & 7))) === 0) return false;
    }
    return true;
  };
}

/** Double hashing (Kirsch and Mitzenmacher, 2006). */
function stepOf(first: number): number {
  return mix(first ^ 0x9e3779b9) | 1;
}

function bitAt(first: number, step: number, index: number): number {
  return (first + Math.imul(index, step)) >>> 0;
}

/** Names a record: FNV-1a of the id, then the seq in two halves. */
export function fingerprint({ id, seq }: { readonly id: string; readonly seq: number }): number {
  const low = Math.imul(hashText(id) ^ (seq >>> 0), 0x01000193);
  return mix(low ^ Math.floor(seq / 2 ** 32));
}

export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/** The finisher of MurmurHash3: every bit of the input reaches every bit of the output. */
export function mix(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
