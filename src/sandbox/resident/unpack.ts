/**
 * Takes a tar stream of `packInto` apart into a folder. Nothing in it is trusted: see `safe-path.ts` for names; devices,
 * sockets and links to outside are refused, and no file becomes setuid.
 */

import { constants } from "node:fs";
import { chmod, link, lstat, mkdir, open, realpath, rename, rm, symlink, utimes } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import type { Extract } from "tar-stream";
import { drained } from "./drained.ts";
import { CutShort, Refusal, refusalFrom } from "./refusal.ts";
import { parseEntryName, SafeFolder } from "./safe-path.ts";
import { checkLast, LAST_NAME, MAX_LAST_BYTES, type Moved, Tally } from "./tar-words.ts";

type Entry = Extract extends AsyncIterable<infer T> ? T : never;

export interface UnpackOptions {
  /** Symbolic links that lead out of the folder: inside a sandbox they do no harm, on a guest's own machine they may. */
  readonly outwardLinks: "keep" | "refuse";
  /** @default 1_000_000 */
  readonly maxEntries?: number;
  /** Of all files together. @default none */
  readonly maxBytes?: number;
  /** Hears of content as it comes. */
  readonly onBytes?: (count: number) => void;
}

const MAX_ENTRIES = 1_000_000;

/**
 * @param into made where it is missing
 * @returns what was counted, once the last entry has confirmed it
 * @throws {Refusal} also for what the sender said in its last entry. What was complete before stays.
 */
export async function unpackFrom(source: Readable, into: string, options: UnpackOptions): Promise<Moved> {
  const { maxEntries = MAX_ENTRIES } = options;
  const { extract } = await import("tar-stream");
  const archive = extract();
  const made = (await mkdir(into, { recursive: true })) !== undefined;
  const unpacking = new Unpacking(await realpath(into), { ...options, made });
  void feed(source, archive);
  try {
    for await (const entry of archive) {
      if (unpacking.tally.files >= maxEntries) throw new Refusal("too-large", `refused: over ${maxEntries} entries`);
      if (entry.header.name === LAST_NAME) {
        return checkLast(await readLast(entry), unpacking.tally.total()); // what may still come is not for us
      }
      await unpacking.take(entry);
      entry.resume();
    }
    throw new CutShort("the archive ended too early");
  } catch (error) {
    archive.destroy();
    throw error instanceof Refusal ? error : asRefusal(error);
  }
}

class Unpacking {
  readonly tally: Tally;
  readonly #folder: SafeFolder;
  readonly #root: string;
  readonly #options: UnpackOptions & { readonly made: boolean };
  #parts = 0;

  /** @param options `made`: the folder was not there before */
  constructor(root: string, options: UnpackOptions & { readonly made: boolean }) {
    this.#root = root;
    this.#folder = new SafeFolder(root);
    this.#options = options;
    this.tally = new Tally(options.onBytes);
  }

  async take(entry: Entry): Promise<void> {
    const { name, type, linkname } = entry.header;
    const parts = parseEntryName(name);
    const path = await this.#folder.pathOf(parts);
    if (parts.length === 0) {
      if (type !== "directory") throw refusedEntry(name, "it stands for the folder itself, and is none");
      this.tally.entry("directory", name, 0);
      if (this.#options.made) await chmod(this.#root, ((entry.header.mode ?? 0o755) & 0o777) | 0o700);
    } else if (type === "directory") await this.#directory(entry, path);
    else if (type === "symlink") await this.#link(entry, path, linkname);
    else if (type === "link") await this.#hardLink(entry, path, linkname);
    else if (type === "file" || type === "contiguous-file") await this.#file(entry, path);
    else throw refusedEntry(name, `a ${String(type)} is not moved`);
  }

  async #directory({ header: { name, mode } }: Entry, path: string): Promise<void> {
    this.tally.entry("directory", name, 0);
    await this.#folder.makeFolder(path);
    // Its owner must be able to fill it: what follows is inside.
    await chmod(path, (mode & 0o777) | 0o700);
  }

  async #link({ header: { name } }: Entry, path: string, target: string): Promise<void> {
    this.tally.entry("symlink", name, 0);
    if (target === "" || target.includes("\0")) throw refusedEntry(name, "a link to nothing");
    if (this.#options.outwardLinks === "refuse" && this.#folder.leadsOut(path, target)) {
      throw refusedEntry(name, "the link leads out of the folder");
    }
    await this.#makeWay(path);
    await symlink(target, path);
  }

  /** Only to a file of the same folder, found without following a link. */
  async #hardLink({ header: { name } }: Entry, path: string, target: string): Promise<void> {
    this.tally.entry("link", name, 0);
    const parts = parseEntryName(target);
    let from = this.#root;
    for (const part of parts) {
      if (from !== this.#root && !(await lstat(from)).isDirectory()) throw refusedEntry(name, "links are not followed");
      from = join(from, part);
    }
    if (!(await lstat(from)).isFile()) throw refusedEntry(name, "the link leads to no file");
    await this.#makeWay(path);
    await link(from, path);
  }

  /** Beside its place first, so that what was there stays until all of it has come. */
  async #file(entry: Entry, path: string): Promise<void> {
    const { name, size, mode, mtime } = entry.header;
    this.tally.entry("file", name, size);
    const { maxBytes = Number.POSITIVE_INFINITY } = this.#options;
    if (this.tally.bytes + size > maxBytes) throw new Refusal("too-large", `refused: over ${maxBytes} bytes come`);
    const part = join(dirname(path), `.p2prc-${process.pid}-${this.#parts++}-part`);
    try {
      await this.#write(entry, part);
      await chmod(part, mode & 0o777);
      await utimes(part, mtime, mtime);
      await rename(part, path);
    } catch (error) {
      await rm(part, { force: true });
      throw error;
    }
  }

  async #write(entry: Entry, part: string): Promise<void> {
    const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;
    await using handle = await open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    for await (const chunk of entry as AsyncIterable<Buffer>) {
      this.tally.content(chunk);
      await handle.write(chunk);
    }
  }

  /** Links are made anew; a folder in the way stays. */
  async #makeWay(path: string): Promise<void> {
    await rm(path, { force: true });
    this.#folder.forget(path);
  }
}

function refusedEntry(name: string, why: string): Refusal {
  return new Refusal("bad-argument", `refused: ${JSON.stringify(name.slice(0, 100))}: ${why}`);
}

/** Its own loop: a pipe would not end the archive where the source breaks. */
async function feed(source: Readable, archive: Extract): Promise<void> {
  try {
    const chunks = source.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>; // somebody may yet answer on it
    for await (const chunk of chunks) {
      if (archive.destroyed) return;
      if (!archive.write(chunk)) await drained(archive);
    }
    archive.end(undefined);
  } catch {
    archive.destroy(new CutShort("the archive ended too early"));
  }
}

async function readLast(entry: Entry): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of entry as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_LAST_BYTES) throw new Refusal("too-large", "refused: the end of the archive is too long");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** What the system said, or the library, which says in words of its own what is wrong with an archive. */
function asRefusal(error: unknown): Refusal {
  if (error instanceof Error && "syscall" in error) return refusalFrom(error, "unpacking");
  const message = error instanceof Error ? error.message : "unreadable";
  if (TOO_EARLY.test(message)) return new CutShort("the archive ended too early");
  return new Refusal("bad-argument", `not an archive: ${message}`);
}

const TOO_EARLY = /destroyed|premature|unexpected end/iu;
