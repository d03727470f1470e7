/** Unpacks a plugin's archive: files and folders only, none outside, and no more than a plugin may have. */

import { createReadStream, mkdirSync } from "node:fs";
import { mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Readable, Writable } from "node:stream";
import { createGunzip } from "node:zlib";
import { extract, type Header } from "tar-stream";
import { Failure } from "../core/index.ts";
import { refused, Room, safeParts } from "./limits.ts";

/** @throws {Failure} not-found, bad-argument, not-allowed, too-large */
export async function takeTarFile(file: string, to: string, signal: AbortSignal): Promise<void> {
  const head = Buffer.alloc(2);
  try {
    await using handle = await open(file, "r");
    await handle.read(head, 0, 2, 0);
  } catch (cause) {
    throw new Failure("not-found", `cannot read "${file}"`, { cause });
  }
  const packed = head[0] === 0x1f && head[1] === 0x8b;
  const bytes = createReadStream(file);
  await takeTar(packed ? bytes.pipe(createGunzip()) : bytes, to, signal);
  await liftOnlyFolder(to);
}

/** @throws {Failure} bad-argument, not-allowed, too-large */
export async function takeTar(archive: Readable, to: string, signal: AbortSignal): Promise<void> {
  const room = new Room();
  mkdirSync(to, { recursive: true, mode: 0o700 });
  const unpack = extract();
  // Before anything is waited for: what a program writes that nobody reads yet is lost when it exits.
  const fed = pipeline(archive, unpack as unknown as Writable, { signal });
  fed.catch(() => undefined); // it is awaited below, and may be over before
  try {
    for await (const entry of unpack) {
      await put({ header: entry.header, body: entry as unknown as Readable, to, room });
      (entry as unknown as Readable).resume();
    }
    await fed;
  } catch (error) {
    await fed.catch(() => undefined); // what it says is said already, or follows from it
    if (signal.aborted || error instanceof Failure) throw error;
    throw new Failure(
      "bad-argument",
      `this is no archive that can be read: ${(error as Error).message.slice(0, 200)}`,
      { hint: "a plugin may be a `.tar` or a `.tar.gz`", cause: error },
    );
  }
}

interface Entry {
  readonly header: Header;
  readonly body: Readable;
  readonly to: string;
  readonly room: Room;
}

async function put({ header, body, to, room }: Entry): Promise<void> {
  const { name, type, size, mode } = header;
  const parts = safeParts(name);
  room.take(size);
  if (parts.length === 0 || type === "directory") {
    await mkdir(join(to, ...parts), { recursive: true, mode: 0o700 });
    return;
  }
  if (type === "symlink" || type === "link") throw refused(name, "is a link");
  if (type !== "file" && type !== "contiguous-file") throw refused(name, "is a device or a pipe");
  const path = join(to, ...parts);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  // Never over what is there: an archive with one name twice would be read in two ways.
  await using file = await open(path, "wx", (mode & 0o100) === 0 ? 0o600 : 0o700).catch(() => {
    throw refused(name, "is there twice");
  });
  for await (const chunk of body) await file.writeFile(chunk as Buffer);
}

/** Archives of a release have all in one folder. */
async function liftOnlyFolder(to: string): Promise<void> {
  const [only, ...more] = await readdir(to, { withFileTypes: true });
  if (only === undefined || more.length > 0 || !only.isDirectory()) return;
  const aside = `${to}.lifted`;
  await rename(join(to, only.name), aside);
  await rm(to, { recursive: true });
  await rename(aside, to);
}
