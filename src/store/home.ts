/**
 * The folder that holds everything a node keeps, and where in it each thing lies.
 *
 * It belongs to one user and nobody else may write in it: who can, owns the node. The socket on
 * which the daemon answers lies in it too, unless its path would be too long for one.
 */

import { chmod, readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { makeFolder } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { diskFailure } from "./disk-full.ts";
import { type HomeDeps, socketPath } from "./socket-path.ts";

/** Paths only: what lies there is opened by whoever needs it. */
export interface Home {
  readonly path: string;
  readonly platform: NodeJS.Platform;
  readonly uid: number | undefined;
  /** The 32-byte seed of the node's key. */
  readonly key: string;
  /** The key's certificate: public, and made again when it is missing. */
  readonly certificate: string;
  /** The state of every room, in SQLite. */
  readonly state: string;
  readonly ipTable: string;
  readonly config: string;
  /** The node's name, where nobody chose one. */
  readonly name: string;
  readonly log: string;
  /** Held for the life of a daemon; its content means nothing. */
  readonly lock: string;
  /** Who holds the lock, for people. Never used to decide anything. */
  readonly pid: string;
  /** What the daemon listens on: a path, or the name of a pipe on Windows. */
  readonly socket: string;
  /** What proves daemon and CLI to each other where the socket is a pipe that any user may open. */
  readonly token: string;
  /** What is of no use after the daemon has ended. */
  readonly run: string;
}

/** @throws {Failure} home-unusable, disk-full */
export async function openHome(path: string, deps: HomeDeps): Promise<Home> {
  const root = resolve(path);
  try {
    await makeFolder(root);
    await refuseShared(root, deps);
    await makeFolder(join(root, "run"));
    return layout(root, await socketPath(root, deps), deps);
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw diskFailure(error, root) ?? unusable(root, error);
  }
}

function layout(path: string, socket: string, { platform, uid }: HomeDeps): Home {
  return Object.freeze({
    path,
    platform,
    uid,
    socket,
    run: join(path, "run"),
    key: join(path, "key"),
    certificate: join(path, "certificate.pem"),
    state: join(path, "state.sqlite"),
    ipTable: join(path, "ip_table.json"),
    config: join(path, "config.json"),
    name: join(path, "name"),
    log: join(path, "log"),
    lock: join(path, "lock.sqlite"),
    pid: join(path, "pid"),
    token: join(path, "token"),
  });
}

/** Windows keeps others out of a user's folder by inherited access lists; `mode` and `uid` mean nothing there. */
async function refuseShared(path: string, { platform, uid }: HomeDeps): Promise<void> {
  const found = await stat(path);
  if (!found.isDirectory())
    throw new Failure("home-unusable", `"${path}" is not a folder`, { hint: "choose another one with `--home`" });
  if (platform === "win32") return;
  if (uid !== undefined && found.uid !== uid) {
    throw new Failure("home-unusable", `"${path}" belongs to another user (uid ${found.uid}, you are ${uid})`, {
      hint: `run \`sudo chown -R ${uid} '${path}'\`, or choose another folder with \`--home\``,
    });
  }
  if ((found.mode & 0o022) !== 0) {
    throw new Failure("home-unusable", `others may write in "${path}"`, { hint: `run \`chmod 700 '${path}'\`` });
  }
  // Made by hand with `mkdir`: tightened. One that holds other things is left alone; our files are closed to others anyway.
  if ((found.mode & 0o077) !== 0 && (await readdir(path)).length === 0) await chmod(path, 0o700);
}

function unusable(path: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || !("code" in cause)) return cause; // a defect
  return new Failure("home-unusable", `cannot use the folder "${path}": ${String(cause.code)}`, {
    hint: "choose a folder that you may write in with `--home` or P2PRC_HOME",
    cause,
  });
}
