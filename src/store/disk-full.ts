/**
 * What the system says when there is no room left, in words and with a way out.
 *
 * Whoever writes passes what it caught through here; other errors stay what they were.
 */

import { Failure } from "../core/index.ts";

/** SQLITE_FULL; https://www.sqlite.org/rescode.html */
const SQLITE_FULL = 13;

/** The Failure `disk-full` where `error` says that no more fits; undefined for every other error. */
export function diskFailure(error: unknown, path?: string): Failure | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errcode } = error as Error & { readonly code?: unknown; readonly errcode?: unknown };
  const full =
    code === "ENOSPC" || code === "EDQUOT" || (typeof errcode === "number" && (errcode & 0xff) === SQLITE_FULL);
  if (!full) return undefined;
  return new Failure("disk-full", path === undefined ? "the disk is full" : `no room left on the disk for "${path}"`, {
    hint: "free some space (`df -h` shows where) and try again; what was there before is kept",
    cause: error,
  });
}

export function errorCode(error: unknown): string | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  return typeof code === "string" ? code : undefined;
}
