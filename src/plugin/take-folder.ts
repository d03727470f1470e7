/** Copies a plugin's folder: files and folders only, and no more than a plugin may have. */

import type { Dirent } from "node:fs";
import { chmod, copyFile, lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../core/index.ts";
import { refused, Room, safeParts } from "./limits.ts";

/** Of other tools; not a part of the plugin. */
const LEFT_OUT: ReadonlySet<string> = new Set([".git", ".hg", ".svn", ".DS_Store"]);

/** @throws {Failure} not-found, not-allowed, too-large */
export async function takeFolder(from: string, to: string, signal: AbortSignal): Promise<void> {
  const found = await lstat(from).catch((cause: unknown) => {
    throw new Failure("not-found", `there is no folder "${from}"`, { cause });
  });
  if (!found.isDirectory()) throw new Failure("bad-argument", `"${from}" is no folder`);
  await copy({ from, to, room: new Room() }, "", signal);
}

interface Places {
  readonly from: string;
  readonly to: string;
  readonly room: Room;
}

async function copy(places: Places, path: string, signal: AbortSignal): Promise<void> {
  await mkdir(join(places.to, path), { recursive: true, mode: 0o700 });
  for (const entry of await readdir(join(places.from, path), { withFileTypes: true })) {
    signal.throwIfAborted();
    if (LEFT_OUT.has(entry.name)) continue;
    await copyEntry(places, { path: path === "" ? entry.name : `${path}/${entry.name}`, entry }, signal);
  }
}

async function copyEntry(
  places: Places,
  { path, entry }: { readonly path: string; readonly entry: Dirent },
  signal: AbortSignal,
): Promise<void> {
  const [source, target] = [join(places.from, path), join(places.to, ...safeParts(path))];
  if (entry.isSymbolicLink()) throw refused(path, "is a link");
  if (entry.isDirectory()) {
    places.room.take(0);
    return await copy(places, path, signal);
  }
  if (!entry.isFile()) throw refused(path, "is a device, a pipe or a socket");
  const { size, mode } = await lstat(source);
  places.room.take(size);
  await copyFile(source, target);
  await chmod(target, (mode & 0o100) === 0 ? 0o600 : 0o700);
}
