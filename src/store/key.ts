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

const SEED_BYTES = 32;
/** 256 bits in hexadecimal. */
const TOKEN_BYTES = 64;

interface Secret {
  readonly path: string;
  readonly size: number;
  readonly create: () => Uint8Array;
}

/** The 32 bytes that the node's key is made of. @throws {Failure} home-unusable, disk-full */
export function openSeed(home: Home, random: Random): Promise<Uint8Array> {
  return openSecret(home, { path: home.key, size: SEED_BYTES, create: () => random.bytes(SEED_BYTES) });
}

/** What daemon and CLI prove to each other over a pipe that anybody may open. @throws {Failure} home-unusable, disk-full */
export async function openToken(home: Home, random: Random): Promise<string> {
  const create = () => Buffer.from(Buffer.from(random.bytes(TOKEN_BYTES / 2)).toString("hex"));
  return Buffer.from(await openSecret(home, { path: home.token, size: TOKEN_BYTES, create })).toString("latin1");
}

async function openSecret(home: Home, secret: Secret): Promise<Uint8Array> {
  for (;;) {
    const found = await readSecret(home, secret);
    if (found !== undefined) return found;
    await make(secret.path, secret.create());
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
async function readSecret(home: Home, { path, size: expected }: Secret): Promise<Uint8Array | undefined> {
  try {
    await using file = await open(path, "r");
    const { mode, uid, size } = await file.stat();
    if (home.platform !== "win32") refuseExposed({ mode, uid }, { path, mine: home.uid });
    if (size !== expected) throw wrongSize(path, size, expected);
    const bytes = await file.readFile();
    if (bytes.length !== expected) throw wrongSize(path, bytes.length, expected);
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

function refuseExposed(
  { mode, uid }: Exposure,
  { path, mine }: { readonly path: string; readonly mine: number | undefined },
): void {
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

function wrongSize(path: string, size: number, expected: number): Failure {
  return new Failure("home-unusable", `"${path}" has ${size} bytes, not ${expected}`, {
    hint: "put it back from a backup, or move it away and a new one is made (for `key`: this node is then a new one to others)",
  });
}

function unreadable(path: string, cause: unknown): unknown {
  if (errorCode(cause) === undefined) return cause;
  return new Failure("home-unusable", `cannot read "${path}": ${errorCode(cause)}`, {
    hint: `run \`ls -l '${path}'\``,
    cause,
  });
}
