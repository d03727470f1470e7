/** An input on its way: what is in it by its hash, and the bytes for a sandbox that has not seen them. */

import { createHash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { cleanText } from "../core/light.ts";
import { MAX_PAYLOAD_BYTES } from "./inside/messages.ts";
import type { FileMark } from "./journal.ts";

/** What is the matter with an input of this machine: of one task alone. */
export class BadInput extends Error {}

/** Smaller ones are read once; larger ones are read for their hash, and again while they are sent. */
const SMALL_BYTES = 256 * 1024;

export class Shipment {
  readonly mark: FileMark;
  readonly #path: string;
  readonly #content: Buffer | undefined;

  /** @throws {BadInput} */
  static async open(path: string, signal: AbortSignal): Promise<Shipment> {
    await using file = await opened(path);
    const before = await file.stat();
    if (!before.isFile()) throw new BadInput(`${shown(path)} is no file any more`);
    const hash = createHash("sha256");
    const pieces: Buffer[] = [];
    for await (const piece of piecesOf(file, signal)) {
      hash.update(piece);
      if (before.size <= SMALL_BYTES) pieces.push(Buffer.from(piece));
    }
    const { size, mtimeMs } = await file.stat();
    if (size !== before.size || mtimeMs !== before.mtimeMs) throw changed(path);
    const mark = { size, mtimeMs, sha256: hash.digest("hex") };
    return new Shipment(path, mark, size <= SMALL_BYTES ? Buffer.concat(pieces) : undefined);
  }

  private constructor(path: string, mark: FileMark, content: Buffer | undefined) {
    this.#path = path;
    this.mark = mark;
    this.#content = content;
  }

  /** The bytes that the hash was taken of. @throws {BadInput} at the end, where they are others by now */
  async *pieces(signal: AbortSignal): AsyncGenerator<Buffer> {
    if (this.#content !== undefined) {
      for (let at = 0; at < this.#content.length; at += MAX_PAYLOAD_BYTES)
        yield this.#content.subarray(at, at + MAX_PAYLOAD_BYTES);
      return;
    }
    await using file = await opened(this.#path);
    const hash = createHash("sha256");
    for await (const piece of piecesOf(file, signal)) {
      hash.update(piece);
      yield piece;
    }
    if (hash.digest("hex") !== this.mark.sha256) throw changed(this.#path);
  }
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (error) {
    throw new BadInput(`${shown(path)} cannot be read (${(error as NodeJS.ErrnoException).code})`, { cause: error });
  }
}

async function* piecesOf(file: FileHandle, signal: AbortSignal): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(MAX_PAYLOAD_BYTES);
  for (;;) {
    signal.throwIfAborted();
    const { bytesRead } = await file.read(buffer, 0, buffer.length);
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

function changed(path: string): BadInput {
  return new BadInput(`${shown(path)} changed while it was shipped`);
}

function shown(path: string): string {
  return `the input "${cleanText(path, 120)}"`;
}
