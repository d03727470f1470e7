/**
 * What the system says when there is no room left, in words and with a way out.
 *
 * Whoever writes passes what it caught through here; other errors stay what they were.
 */

import { Failure } from "../core/index.ts";

/** https://www.sqlite.org/rescode.html */
const SQLITE_FULL = 13;
/** The 32 KiB of shared memory beside the log (`-shm`) did not fit: SQLite calls that a "disk I/O error". */
const SQLITE_IOERR_SHMSIZE = 10 | (19 << 8);

/** The Failure `disk-full` where `error` says that no more fits; undefined for every other error. */
export function diskFailure(error: unknown, path?: string): Failure | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as Error & { readonly code?: unknown; readonly errcode?: unknown };
  if (code !== "ENOSPC" && code !== "EDQUOT" && !isFull(errcode)) return undefined;
  return new Failure("disk-full", path === undefined ? "the disk is full" : `no room left on the disk for "${path}"`, {
    hint: "free some space (`df -h` shows where) and try again; what was there before is kept",
    cause: error,
  });
}

function isFull(errcode: unknown): boolean {
  return typeof errcode === "number" && ((errcode & 0xff) === SQLITE_FULL || errcode === SQLITE_IOERR_SHMSIZE);
}

export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : undefined;
}
