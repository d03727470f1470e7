/**
 * Where the daemon of a home answers the programs of its owner. Both sides work it out by this
 * rule alone: nothing is looked up, so a stale file can mislead nobody.
 *
 * A Unix socket in the home (0600, in a folder of 0700). Its path must fit `sun_path` (104 bytes on
 * macOS, 108 on Linux), so a long home's socket lies in a folder of the user's own below /tmp.
 * There is no such protection on Windows: the pipe's name and both sides' proofs hang on a token
 * that only the home's owner can read.
 */

import { createHash, createHmac } from "node:crypto";
import { posix, win32 } from "node:path";

/** A little under what macOS allows, so that the rule is the same everywhere. */
const MAX_SOCKET_PATH_BYTES = 100;

export interface LocalSocket {
  /** For `net.connect({ path })` and `server.listen({ path })`. */
  readonly path: string;
  /** Where the socket is not in the home: a folder to be made 0700, and used only while it is the user's own. */
  readonly runtimeFolder?: string;
}

export interface LocalUser {
  readonly platform: NodeJS.Platform;
  /** The numeric user; none on Windows. */
  readonly uid: number | undefined;
  /** What `local-token` in the home holds. Used on Windows only. */
  readonly token?: string | undefined;
}

/** Made by the daemon (0600, 64 hex digits) at its first start on Windows. */
export const LOCAL_TOKEN_FILE = "local-token";

/** @param home absolute and without symbolic links, so that every way of writing it leads to one daemon */
export function localSocket(home: string, { platform, uid, token = "" }: LocalUser): LocalSocket {
  if (platform === "win32") return { path: `\\\\.\\pipe\\p2prc-${digest(`${win32.normalize(home).toLowerCase()}\n${token}`)}` };
  const path = posix.join(home, "daemon.sock");
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return { path };
  const runtimeFolder = `/tmp/p2prc-${uid ?? 0}`; // not TMPDIR: a service and a shell must agree on it
  return { path: `${runtimeFolder}/${digest(home)}.sock`, runtimeFolder };
}

/**
 * Shows to the other end of a named pipe that one can read the token, without sending it. The
 * client sends `p2prc-nonce` and `p2prc-proof` (side "client"); the daemon answers `p2prc-proof`
 * (side "daemon") over the same nonce.
 */
export function localProof(token: string, side: "client" | "daemon", nonce: string): string {
  return createHmac("sha256", token).update(`p2prc local ${side}\n${nonce}`).digest("hex");
}

function digest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 24);
}
