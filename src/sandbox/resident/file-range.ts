/**
 * One large file, from where an earlier attempt left off. What arrives goes to `<path>.p2prc-part` and takes the place of the
 * file once it is whole. After the bytes stand 64 hex digits: the SHA-256 of what was sent this time; what was there before
 * is compared by its own digest (`stat` with `prefix`).
 */

import { createHash } from "node:crypto";
import { constants, type Stats } from "node:fs";
import { chmod, type FileHandle, lstat, open, rename, rm, utimes } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { drained } from "./drained.ts";
import { CutShort, Refusal } from "./refusal.ts";
import type { Moved } from "./tar-words.ts";

export const PART_SUFFIX = ".p2prc-part";
const CHUNK_BYTES = 256 * 1024;
export const DIGEST_LENGTH = 64;

export interface FileFacts {
  readonly kind: "file" | "folder" | "link" | "other";
  readonly size: number;
  readonly mtimeMs: number;
  readonly mode: number;
  /** Of its first bytes, as many as were asked for. */
  readonly prefixSha256?: string;
}

/** @param prefix how many of its first bytes to digest; undefined: none */
export async function statFile(path: string, prefix: number | undefined, signal: AbortSignal): Promise<FileFacts> {
  const stats = await lstat(path);
  const facts = {
    kind: kindOf(stats),
    size: stats.size,
    mtimeMs: Math.max(0, Math.round(stats.mtimeMs)),
    mode: stats.mode & 0o777,
  };
  if (prefix === undefined || !stats.isFile()) return facts;
  if (prefix > stats.size) throw new Refusal("bad-argument", `the file has ${stats.size} bytes, not ${prefix}`);
  const hash = createHash("sha256");
  await using handle = await openFile(path, constants.O_RDONLY);
  for await (const chunk of chunksOf(handle, { from: 0, to: prefix })) {
    signal.throwIfAborted();
    hash.update(chunk);
  }
  return { ...facts, prefixSha256: hash.digest("hex") };
}

export interface Range {
  readonly from: number;
  /** Where the file ends, as both sides know it. */
  readonly to: number;
  /** Hears of bytes as they pass. */
  readonly onBytes?: (count: number) => void;
}

/** Ends `target`; breaks it off where the file has become shorter. */
export async function sendRange(target: Writable, path: string, range: Range): Promise<void> {
  await using handle = await openFile(path, constants.O_RDONLY);
  const hash = createHash("sha256");
  for await (const chunk of chunksOf(handle, range)) {
    hash.update(chunk);
    range.onBytes?.(chunk.length);
    if (!target.write(chunk)) await drained(target);
    if (target.destroyed) return;
  }
  target.end(hash.digest("hex"));
}

export interface Received extends Range {
  readonly mode: number;
  readonly mtimeMs: number | undefined;
}

/**
 * @returns what arrived this time
 * @throws {CutShort} the part stays, to go on from
 * @throws {Refusal} conflict: it is not what was sent (the part is gone), disk-full (gone too)
 */
export async function receiveRange(source: Readable, path: string, wanted: Received): Promise<Moved> {
  const part = `${path}${PART_SUFFIX}`;
  const sha256 = await writePart(source, part, wanted).catch(async (error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOSPC" || code === "EDQUOT") await rm(part, { force: true }); // others need the room
    throw error;
  });
  await chmod(part, wanted.mode & 0o777);
  if (wanted.mtimeMs !== undefined) await utimes(part, wanted.mtimeMs / 1000, wanted.mtimeMs / 1000);
  await rename(part, path);
  return { files: 1, bytes: wanted.to - wanted.from, sha256 };
}

async function writePart(source: Readable, part: string, { from, to, onBytes }: Range): Promise<string> {
  const { O_CREAT, O_WRONLY } = constants;
  await using handle = await openFile(part, O_WRONLY | O_CREAT);
  const { size } = await handle.stat();
  if (from > size) throw new Refusal("conflict", `only ${size} bytes are there to go on from, not ${from}`);
  await handle.truncate(from);
  await using writing = new Writing(handle, from);
  const hash = createHash("sha256");
  let at = from;
  let digest = "";
  for await (const chunk of arriving(source)) {
    const content = chunk.subarray(0, to - at);
    if (content.length > 0) {
      hash.update(content);
      await writing.add(content);
      at += content.length;
      onBytes?.(content.length);
    }
    digest += chunk.subarray(content.length).toString("latin1");
    if (digest.length > DIGEST_LENGTH) throw new Refusal("too-large", "refused: more came than was said");
  }
  await writing.flush();
  if (digest.length < DIGEST_LENGTH) throw new CutShort(`it was cut short after ${at} of ${to} bytes`);
  const sha256 = hash.digest("hex");
  if (sha256 !== digest) {
    await rm(part, { force: true });
    throw new Refusal("conflict", "what arrived is not what was sent");
  }
  await handle.datasync();
  return sha256;
}

/** Links bring 16 KiB at a time; one call for each would cost more than the writing. */
const BATCH_BYTES = 1024 * 1024;

/** Goes to the disk while more comes, so that little is left for the end: of 1 GiB that was a quarter of the time. */
const SYNC_BYTES = 64 * 1024 * 1024;

/** Writes in large pieces, one while the next is gathered. */
class Writing implements AsyncDisposable {
  readonly #handle: FileHandle;
  #at: number;
  #gathered: Buffer[] = [];
  #size = 0;
  #last: Promise<unknown> = Promise.resolve();
  /** Up to where the disk was told to keep it. */
  #syncedTo: number;
  #syncing: Promise<unknown> = Promise.resolve();
  #isSyncing = false;

  constructor(handle: FileHandle, at: number) {
    this.#handle = handle;
    this.#at = at;
    this.#syncedTo = at;
  }

  async add(chunk: Buffer): Promise<void> {
    this.#gathered.push(chunk);
    this.#size += chunk.length;
    if (this.#size >= BATCH_BYTES) await this.#write();
  }

  /** Resolves when all of it is written, and nothing is under way any more. */
  async flush(): Promise<void> {
    await this.#write();
    await this.#last;
    await this.#syncing;
  }

  /** What came before it broke is worth keeping. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.flush().catch(() => undefined); // whoever adds or flushes hears of it
  }

  async #write(): Promise<void> {
    await this.#last;
    if (this.#at - this.#syncedTo >= SYNC_BYTES && !this.#isSyncing) this.#sync();
    const batch = this.#gathered;
    if (batch.length === 0) return;
    this.#last = this.#writeAll(Buffer.concat(batch, this.#size), this.#at);
    this.#last.catch(() => undefined); // told by the next one
    this.#at += this.#size;
    this.#gathered = [];
    this.#size = 0;
  }

  #sync(): void {
    this.#syncedTo = this.#at;
    this.#isSyncing = true;
    const synced = this.#handle.datasync().finally(() => {
      this.#isSyncing = false;
    });
    this.#syncing = Promise.all([this.#syncing, synced]);
    this.#syncing.catch(() => undefined); // told by flush
  }

  async #writeAll(bytes: Buffer, at: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await this.#handle.write(bytes, done, bytes.length - done, at + done);
      done += bytesWritten;
    }
  }
}

/** That the stream breaks says nothing of the file here. */
async function* arriving(source: Readable): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) yield chunk;
  } catch (cause) {
    throw new CutShort(`it broke off (${cause instanceof Error ? cause.message : "no reason"})`);
  }
}

/** A file itself, never what a link leads to, and nothing that opening would wait for. */
async function openFile(path: string, flags: number): Promise<FileHandle> {
  const handle = await open(path, flags | constants.O_NOFOLLOW | constants.O_NONBLOCK, 0o600);
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw new Refusal("bad-argument", "it is no file");
}

async function* chunksOf(handle: FileHandle, { from, to }: Range): AsyncGenerator<Buffer> {
  for (let at = from; at < to; ) {
    // Fresh memory for each: who passes it on may hold it for longer than the write says.
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(Math.min(CHUNK_BYTES, to - at)), {
      position: at,
    });
    if (bytesRead === 0) throw new Refusal("conflict", "it became shorter while it was read");
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function kindOf(stats: Stats): FileFacts["kind"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "folder";
  return stats.isSymbolicLink() ? "link" : "other";
}
