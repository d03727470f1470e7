/** Sends a file or a folder as tar, as it is: links as links, never what they lead to; no devices, no sockets. */

import { constants, type Stats } from "node:fs";
import { type FileHandle, lstat, open, opendir, readlink } from "node:fs/promises";
import { basename, join } from "node:path";
import type { Writable } from "node:stream";
import type { Pack } from "tar-stream";
import { drained } from "./drained.ts";
import { Refusal, refusalFrom } from "./refusal.ts";
import { encodeLast, LAST_NAME, MAX_LEFT, type Moved, Tally } from "./tar-words.ts";

const CHUNK_BYTES = 128 * 1024;

export interface PackWish {
  readonly path: string;
  /** What `path` itself is called in the archive. @default its own name: `src`, `src/main.c` */
  readonly name?: string;
  /** Files of more bytes are left out, and named in `Moved`. @default none */
  readonly largeBytes?: number;
  /** Hears of content as it is read. */
  readonly onBytes?: (count: number) => void;
}

/**
 * The stream is ended; what goes wrong is said in its last entry and thrown here.
 * @throws {Refusal}
 */
export async function packInto(to: Writable, wish: PackWish, signal: AbortSignal): Promise<Moved> {
  const { pack } = await import("tar-stream");
  const { path, name = basename(path) || ".", onBytes } = wish;
  const archive = pack();
  archive.on("error", () => {}); // the reader left
  const onAbort = () => void to.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  const flowing = flow(archive, to);
  const packing = new Packing(archive, { tally: new Tally(onBytes), ...wish }, signal);
  const failure = await packing.add(path, name).then(
    () => undefined,
    (error: unknown) => refusalFrom(error, pathIn(error) ?? path),
  );
  const end = failure ?? packing.total();
  if (!to.destroyed) {
    archive.entry({ name: LAST_NAME }, encodeLast(end));
    archive.finalize();
  }
  await flowing;
  signal.removeEventListener("abort", onAbort);
  if (end instanceof Refusal) throw end;
  return end;
}

/** Of the one file, of many, that it is about. */
function pathIn(error: unknown): string | undefined {
  return error instanceof Error && "path" in error && typeof error.path === "string" ? error.path : undefined;
}

async function flow(archive: Pack, to: Writable): Promise<void> {
  to.once("close", () => archive.destroy());
  try {
    for await (const chunk of archive as unknown as AsyncIterable<Buffer>) {
      if (to.destroyed) return;
      if (!to.write(chunk)) await drained(to);
    }
    to.end();
  } catch {
    // the reader left
  }
}

class Packing {
  readonly #archive: Pack;
  readonly #tally: Tally;
  readonly #signal: AbortSignal;
  readonly #largeBytes: number;
  readonly #left: string[] = [];

  constructor(archive: Pack, { tally, largeBytes }: { tally: Tally; largeBytes?: number }, signal: AbortSignal) {
    this.#archive = archive;
    this.#tally = tally;
    this.#largeBytes = largeBytes ?? Number.POSITIVE_INFINITY;
    this.#signal = signal;
  }

  total(): Moved {
    const moved = this.#tally.total();
    return this.#left.length === 0 ? moved : { ...moved, left: this.#left };
  }

  async add(path: string, name: string): Promise<void> {
    this.#signal.throwIfAborted();
    const stats = await lstat(path);
    const common = { name, mode: stats.mode & 0o777, mtime: stats.mtime };
    if (stats.isDirectory()) {
      this.#tally.entry("directory", name, 0);
      await this.#entry({ ...common, type: "directory" });
      for await (const child of await opendir(path)) await this.add(join(path, child.name), `${name}/${child.name}`);
    } else if (stats.isSymbolicLink()) {
      this.#tally.entry("symlink", name, 0);
      await this.#entry({ ...common, type: "symlink", linkname: await readlink(path) });
    } else if (stats.isFile() && stats.size > this.#largeBytes) this.#leave(name);
    else if (stats.isFile()) await this.#file(path, stats, common);
  }

  #leave(name: string): void {
    if (this.#left.length === MAX_LEFT)
      throw new Refusal("too-large", `over ${MAX_LEFT} files are larger than ${this.#largeBytes} bytes`);
    this.#left.push(name);
  }

  async #file(path: string, { size }: Stats, common: { name: string; mode: number; mtime: Date }): Promise<void> {
    await using handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    this.#tally.entry("file", common.name, size);
    const done = Promise.withResolvers<void>();
    const entry = this.#archive.entry({ ...common, size, type: "file" }, (error) =>
      error ? done.reject(error) : done.resolve(),
    );
    done.promise.catch(() => {}); // it may fail while we still read
    let left = size;
    try {
      for (; left > 0; ) {
        const chunk = await this.#read(handle, left);
        this.#tally.content(chunk);
        left -= chunk.length;
        if (!entry.write(chunk)) await drained(entry);
      }
    } catch (error) {
      // The size was said: only after as much can the reason be told.
      for (; left > 0 && !this.#signal.aborted; left -= Math.min(left, CHUNK_BYTES)) {
        if (!entry.write(Buffer.alloc(Math.min(left, CHUNK_BYTES)))) await drained(entry);
      }
      throw error;
    } finally {
      entry.end(undefined);
      await done.promise;
    }
  }

  async #read(handle: FileHandle, left: number): Promise<Buffer> {
    this.#signal.throwIfAborted();
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafeSlow(Math.min(left, CHUNK_BYTES)));
    if (bytesRead === 0) throw new Refusal("conflict", "it became shorter while it was read");
    return buffer.subarray(0, bytesRead);
  }

  #entry(header: {
    name: string;
    mode: number;
    mtime: Date;
    type: "directory" | "symlink";
    linkname?: string;
  }): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#archive.entry(header, (error) => (error ? reject(error) : resolve()));
    });
  }
}
