/**
 * Files that are either the old ones or the new ones, whatever happens in between.
 *
 * The text goes to a temporary file in the same folder, down to the disk, and takes the name in one
 * step; then the folder goes down to the disk too. A `kill -9` leaves at most a temporary file, which
 * `sweepTemporary` removes at the next start.
 */

import { randomBytes } from "node:crypto";
import { link, open, readdir, rename, rm } from "node:fs/promises";
import { platform } from "node:os";
import { basename, dirname, join } from "node:path";
import { diskFailure, errorCode } from "./disk-full.ts";

export interface WriteOptions {
  /** Who may read it. @default 0o600 */
  readonly mode?: number;
}

const TEMPORARY = /^\..+\.[0-9a-f]{12}\.tmp$/;

/** @throws {Failure} disk-full; the file is then as it was */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  await throughTemporary({ path, data, ...options }, (temporary) => rename(temporary, path));
}

/**
 * Makes the file unless it is there. Of several that try at once one wins, whole.
 * @returns whether this call made it
 * @throws {Failure} disk-full
 */
export async function createOnce(
  path: string,
  data: string | Uint8Array,
  options: WriteOptions = {},
): Promise<boolean> {
  let made = true;
  await throughTemporary({ path, data, ...options }, async (temporary) => {
    try {
      await link(temporary, path);
    } catch (error) {
      if (errorCode(error) !== "EEXIST") throw error;
      made = false;
    }
  });
  return made;
}

/** Removes what interrupted writes left in `folder`. Only for whoever holds the lock of the home. */
export async function sweepTemporary(folder: string): Promise<void> {
  const names = await readdir(folder);
  await Promise.all(
    names.filter((name) => TEMPORARY.test(name)).map((name) => rm(join(folder, name), { force: true })),
  );
}

interface Write extends WriteOptions {
  readonly path: string;
  readonly data: string | Uint8Array;
}

async function throughTemporary(
  { path, data, mode = 0o600 }: Write,
  publish: (temporary: string) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}.tmp`);
  try {
    await writeThrough(temporary, data, mode);
    await publish(temporary);
    await syncFolder(dirname(path));
  } catch (error) {
    throw diskFailure(error, path) ?? error;
  } finally {
    await rm(temporary, { force: true });
  }
}

async function writeThrough(path: string, data: string | Uint8Array, mode: number): Promise<void> {
  await using file = await open(path, "wx", mode);
  await file.writeFile(data);
  await file.sync();
}

/** Without this a power cut may forget the new name. Windows has no such call and journals names itself. */
async function syncFolder(path: string): Promise<void> {
  if (platform() === "win32") return;
  await using folder = await open(path, "r");
  await folder.sync();
}
