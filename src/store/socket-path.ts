/**
 * Where the daemon of a home listens for its own user.
 *
 * In the home, while the path fits a socket address; else in a short folder that is this user's
 * alone, under a name made of the home's path. Which folder that is depends on the environment, so
 * the choice is kept in the home (a symbolic link, made in one step): a CLI started by cron finds
 * the daemon that was started from a desktop.
 */

import { createHash } from "node:crypto";
import { lstat, mkdir, readlink, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Failure } from "../core/index.ts";
import { errorCode } from "./disk-full.ts";

export interface HomeDeps {
  readonly platform: NodeJS.Platform;
  /** Undefined where the system has no such thing (Windows). */
  readonly uid: number | undefined;
  /** XDG_RUNTIME_DIR. */
  readonly runtimeFolder: string | undefined;
  readonly tempFolder: string;
}

/** `sun_path` has 108 bytes on Linux and 104 on macOS, with the closing zero; some room is left for suffixes. */
const MAX_SOCKET_PATH_BYTES = 100;

/** @throws {Failure} home-unusable */
export async function socketPath(home: string, deps: HomeDeps): Promise<string> {
  if (deps.platform === "win32") return `\\\\.\\pipe\\p2prc-${shortHash(home)}`;
  const inside = join(home, "socket");
  if (Buffer.byteLength(inside) <= MAX_SOCKET_PATH_BYTES) return inside;
  const kept = await readLink(inside);
  if (kept !== undefined && (await whyNotPrivate(dirname(kept), deps)) === undefined) return kept;
  const chosen = join(await shortFolder(deps), `${shortHash(home)}.sock`);
  if (kept !== undefined) await rm(inside, { force: true });
  try {
    await symlink(chosen, inside);
    return chosen;
  } catch (error) {
    if (errorCode(error) !== "EEXIST") throw error;
    return (await readLink(inside)) ?? chosen; // somebody else chose at the same time
  }
}

/** The first of the two places that is ours alone. */
async function shortFolder({ runtimeFolder, tempFolder, uid }: HomeDeps): Promise<string> {
  const folders = [join(tempFolder, `p2prc-${uid ?? "user"}`)];
  if (runtimeFolder !== undefined && runtimeFolder !== "") folders.unshift(join(runtimeFolder, "p2prc"));
  let why = "";
  for (const folder of folders) {
    const problem = await whyNotUsable(folder, uid);
    if (problem === undefined) return folder;
    why = `"${folder}" ${problem}`;
  }
  throw new Failure("home-unusable", `the path of the home is too long for a socket, and ${why}`, {
    hint: "choose a shorter path with `--home`, or mend that folder",
  });
}

async function whyNotUsable(folder: string, uid: number | undefined): Promise<string | undefined> {
  if (Buffer.byteLength(folder) > MAX_SOCKET_PATH_BYTES - "/0123456789abcdef.sock".length) return "is too long as well";
  try {
    await mkdir(folder, { mode: 0o700 });
  } catch (error) {
    if (errorCode(error) !== "EEXIST") return `cannot be made (${errorCode(error)})`;
  }
  return await whyNotPrivate(folder, { uid });
}

/** A folder in a place where everybody may write could have been made by anybody. */
async function whyNotPrivate(folder: string, { uid }: Pick<HomeDeps, "uid">): Promise<string | undefined> {
  try {
    const found = await lstat(folder);
    if (!found.isDirectory()) return "is not a folder";
    if (uid !== undefined && found.uid !== uid) return `belongs to another user (uid ${found.uid})`;
    if ((found.mode & 0o077) !== 0) return "is open to others";
    return undefined;
  } catch (error) {
    return `cannot be read (${errorCode(error)})`;
  }
}

async function readLink(path: string): Promise<string | undefined> {
  try {
    return await readlink(path);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "EINVAL") return undefined; // none, or not a link
    throw error;
  }
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
