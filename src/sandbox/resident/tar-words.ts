/**
 * What both ends of a tar stream agree on beyond tar: the last entry says that it is whole, how much there was, and the
 * digest of all of it, or why the sender gave up. A stream without it was cut short.
 */

import { createHash } from "node:crypto";
import { Refusal, type RefusalCode, refusalReply } from "./refusal.ts";

export const LAST_NAME = ".p2prc-end";
/** Of the last entry: `MAX_LEFT` names, or a reason. */
export const MAX_LAST_BYTES = 1024 * 1024;
/** Files too large for the archive that one archive may name. */
export const MAX_LEFT = 1_000;

export interface Moved {
  readonly files: number;
  readonly bytes: number;
  /** Over kind, name, size and content of each entry, in order. */
  readonly sha256: string;
  /** Names of files that are too large for an archive and go by themselves (`file-range.ts`). */
  readonly left?: readonly string[];
}

/** Counts what passes, alike on both ends. */
export class Tally {
  readonly #hash = createHash("sha256");
  readonly #onBytes: (count: number) => void;
  #files = 0;
  #bytes = 0;

  /** @param onBytes hears of content as it passes */
  constructor(onBytes: (count: number) => void = () => undefined) {
    this.#onBytes = onBytes;
  }

  entry(kind: string, name: string, size: number): void {
    this.#files++;
    this.#hash.update(`${kind}\0${name}\0${size}\0`);
  }

  content(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    this.#hash.update(bytes);
    this.#onBytes(bytes.length);
  }

  get files(): number {
    return this.#files;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Once, at the end. */
  total(): Moved {
    return { files: this.#files, bytes: this.#bytes, sha256: this.#hash.digest("hex") };
  }
}

export function encodeLast(end: Moved | Refusal): Buffer {
  return Buffer.from(JSON.stringify(end instanceof Refusal ? refusalReply(end) : end));
}

/** @returns with what was left out @throws {Refusal} what the sender said, or conflict: it is not what was sent */
export function checkLast(json: string, received: Moved): Moved {
  let sent: Partial<Moved> & { readonly error?: { readonly code?: string; readonly message?: string } };
  try {
    sent = JSON.parse(json) as typeof sent;
  } catch {
    throw new Refusal("bad-argument", "the end of the archive cannot be read");
  }
  if (sent.error !== undefined)
    throw new Refusal(sent.error.code as RefusalCode, sent.error.message ?? "the sender gave up");
  if (sent.sha256 !== received.sha256) throw new Refusal("conflict", "what arrived is not what was sent");
  const { left } = sent;
  if (left === undefined) return received;
  if (!Array.isArray(left) || left.length > MAX_LEFT || !left.every((name) => typeof name === "string"))
    throw new Refusal("bad-argument", "the end of the archive cannot be read");
  return { ...received, left };
}
