/**
 * The secrets of a home: the seed that the node's key is made of, and the token of its pipe.
 *
 * A secret is made once, when it is first asked for; two that ask at the same time get the same one.
 * A damaged or exposed one is never replaced: a node that changes its key is another node.
 */

import { open } from "node:fs/promises";
import type { Random } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { diskFailure, errorCode } from "./disk-full.ts";
import type { Home } from "./home.ts";
import { createOnce } from "./write-atomic.ts";

const SECRET_BYTES = 32;

/** The 32 bytes that the node's key is made of. @throws {Failure} home-unusable, disk-full */
export function openSeed(home: Home, random: Random): Promise<Uint8Array> {
  return openSecret(home, home.key, random);
}

/** What daemon and CLI show each other over a pipe that anybody may open. @throws {Failure} home-unusable, disk-full */
export async function openToken(home: Home, random: Random): Promise<string> {
  return Buffer.from(await openSecret(home, home.token, random)).toString("hex");
}

async function openSecret(home: Home, path: string, random: Random): Promise<Uint8Array> {
  for (;;) {
    const secret = await readSecret(home, path);
    if (secret !== undefined) return secret;
    await make(path, random.bytes(SECRET_BYTES));
  }
}

async function make(path: string, secret: Uint8Array): Promise<void> {
  try {
    await createOnce(path, secret);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return; // a daemon that started just now swept the temporary file away
    if (error instanceof Failure) throw error;
    throw new Failure("home-unusable", `cannot make "${path}": ${errorCode(error) ?? "unknown"}`, {
      hint: "choose a folder on a file system with owners and links with `--home`",
      cause: error,
    });
  }
}

/** Undefined when there is none yet. */
async function readSecret(home: Home, path: string): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path, "r");
    const { mode, uid, size } = await file.stat();
    if (home.platform !== "win32") refuseExposed({ mode, uid }, { path, mine: home.uid });
    if (size !== SECRET_BYTES) throw wrongSize(path, size);
    const bytes = await file.readFile();
    if (bytes.length !== SECRET_BYTES) throw wrongSize(path, bytes.length);
    return bytes;
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    if (error instanceof Failure) throw error;
    throw diskFailure(error, path) ?? unreadable(path, error);
  }
}

interface Exposure {
  readonly mode: number;
  readonly uid: number;
}

function refuseExposed({ mode, uid }: Exposure, { path, mine }: { readonly path: string; readonly mine: number | undefined }): void {
  if (mine !== undefined && uid !== mine) {
    throw new Failure("home-unusable", `"${path}" belongs to another user (uid ${uid}, you are ${mine})`, {
      hint: `run \`sudo chown ${mine} '${path}'\``,
    });
  }
  if ((mode & 0o077) !== 0) {
    throw new Failure("home-unusable", `others may read "${path}", and who has it can be this node`, {
      hint: `run \`chmod 600 '${path}'\`; if somebody may have copied it, move it away and a new one is made`,
    });
  }
}

function wrongSize(path: string, size: number): Failure {
  return new Failure("home-unusable", `"${path}" has ${size} bytes, not ${SECRET_BYTES}`, {
    hint: "put it back from a backup, or move it away and a new one is made (for `key`: this node is then a new one to others)",
  });
}

function unreadable(path: string, cause: unknown): unknown {
  if (errorCode(cause) === undefined) return cause;
  return new Failure("home-unusable", `cannot read "${path}": ${errorCode(cause)}`, { hint: `run \`ls -l '${path}'\``, cause });
}
