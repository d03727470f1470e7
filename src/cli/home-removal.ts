/**
 * Takes a home off the disk: what P2PRC writes there, by its names, and then the folder if nothing
 * else is in it. A folder that somebody named by mistake stays as it is.
 */

import type { Stats } from "node:fs";
import { lstat, readdir, realpath, rm, rmdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { Failure, isHomeName } from "../core/light.ts";

/** Whether a node lived in it, or nothing but `install` or a failed start ever wrote there. */
export type HomeState = "used" | "unused";

const KEY_BYTES = 32;
/** What is there before a node is; names that nobody else gives a file. */
const BEFORE_A_NODE: ReadonlySet<string> = new Set(["installed.json", "installed.json.new", "daemon.stderr"]);
/** What Node names the folders of its compile cache, as in v24.1.0-x64-964aae3f-0. */
const COMPILE_CACHE = /^v\d+\.\d+\.\d+-/;

/** @throws {Failure} home-unusable when it does not look like a home */
export async function lookIntoHome(home: string, userFolder: string): Promise<HomeState> {
  const names = await namesIn(home);
  const isAbove = !relative(home, userFolder).startsWith("..");
  if (!isAbove && (await isUsed(home))) return "used";
  if (!isAbove && (names.length === 0 || names.some((name) => BEFORE_A_NODE.has(name)))) return "unused";
  throw new Failure("home-unusable", `"${home}" does not look like a home of p2prc, and is left as it is`, {
    hint: "remove it by hand, if you must",
  });
}

/** A key alone proves nothing: many programs call a file so. */
async function isUsed(home: string): Promise<boolean> {
  const [key, ...databases] = await Promise.all(
    ["key", "state.sqlite", "lock.sqlite"].map((name) => found(join(home, name))),
  );
  return key?.isFile() === true && key.size === KEY_BYTES && databases.some((database) => database?.isFile() === true);
}

/** @returns the names of what stays there, because it is somebody else's or could not be removed */
export async function removeHome(home: string, state: HomeState): Promise<readonly string[]> {
  for (const name of await namesIn(home)) {
    const path = join(home, name);
    if (name === "cache") await removeCompileCache(path);
    else if (state === "used" ? isHomeName(name) : BEFORE_A_NODE.has(name)) await removeAll(path);
    else if (name === "run") await removeEmpty(path);
  }
  const left = await namesIn(home);
  if (left.length > 0 || (await found(home)) === undefined) return left;
  await rmdir(await realpath(home));
  await rm(home, { force: true }); // where it was a link to a folder elsewhere
  return [];
}

async function removeCompileCache(path: string): Promise<void> {
  for (const name of await namesIn(path)) if (COMPILE_CACHE.test(name)) await removeAll(join(path, name));
  await removeEmpty(path);
}

/** What another user owns there, as the files of a sandbox, stays and is named. */
async function removeAll(path: string): Promise<void> {
  await unless(["EACCES", "EPERM", "EBUSY", "ENOTEMPTY"], rm(path, { recursive: true, force: true, maxRetries: 5 }));
}

async function removeEmpty(path: string): Promise<void> {
  await unless(["ENOTEMPTY", "EEXIST", "ENOENT", "ENOTDIR"], rmdir(path));
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return (await unless(["ENOENT", "ENOTDIR"], readdir(folder))) ?? [];
}

async function found(path: string): Promise<Stats | undefined> {
  return await unless(["ENOENT", "ENOTDIR"], lstat(path));
}

/** Undefined where it fails with one of the codes. */
async function unless<T>(codes: readonly string[], answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (codes.includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
