/**
 * Where the daemon of a home answers, as the programs of its owner find it (`store/` chooses it):
 * the socket in the home, or where its path would be too long for one, the short path that the home
 * names. On Windows a pipe, and a token that both ends prove to each other.
 */

import { createHash } from "node:crypto";
import { lstat, readFile, readlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { Failure } from "../core/light.ts";
import type { SocketTransportOptions } from "./transport.ts";

export interface LocalUser {
  readonly platform: NodeJS.Platform;
  /** Undefined where the system has no such thing (Windows). */
  readonly uid: number | undefined;
}

/** The same number as in `store/socket-path.ts`: what fits a socket address everywhere, with some room. */
const MAX_SOCKET_PATH_BYTES = 100;

/**
 * Undefined when there is nothing to connect to: no daemon has run on this home.
 * @throws {Failure} home-unusable
 */
export async function findSocket(home: string, user: LocalUser): Promise<SocketTransportOptions | undefined> {
  const root = resolve(home);
  if (user.platform === "win32") {
    const token = await orNothing(readFile(join(root, "token"), "utf8"));
    return token === undefined
      ? undefined
      : { socketPath: `\\\\.\\pipe\\p2prc-${shortHash(root)}`, token: token.trim() };
  }
  const inside = join(root, "socket");
  if (Buffer.byteLength(inside) <= MAX_SOCKET_PATH_BYTES) return { socketPath: inside };
  const elsewhere = await orNothing(readlink(inside));
  if (elsewhere === undefined) return undefined;
  return (await isOwn(dirname(elsewhere), user)) ? { socketPath: elsewhere } : undefined;
}

/** After a restart of the machine, a folder in a place where everybody may write could be anybody's. */
async function isOwn(folder: string, { uid }: LocalUser): Promise<boolean> {
  const found = await orNothing(lstat(folder));
  return found?.isDirectory() === true && found.uid === uid && (found.mode & 0o077) === 0;
}

async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "EINVAL") return undefined;
    throw new Failure("home-unusable", `cannot look into the home (${code ?? String(error)})`, {
      hint: "choose a folder that you may read with --home or P2PRC_HOME",
      cause: error,
    });
  }
}

function shortHash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}
