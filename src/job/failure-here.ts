/** What a step on this machine ended with, in words. */

import { cleanText, Failure } from "../core/light.ts";

/** Errors of the system become a Failure, which ends a job: each of its tasks would meet the same. Others stay as they are. */
export function failureHere(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || error instanceof Failure) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === undefined) return error;
  const place = `"${cleanText(path, 200)}"`;
  if (code === "ENOSPC" || code === "EDQUOT")
    return new Failure("disk-full", `no room is left on this machine for ${place}`, {
      hint: "free some space (`df -h` shows where)",
      cause: error,
    });
  const words = {
    EACCES: "is not allowed",
    EROFS: "is on a read-only disk",
    ENOTDIR: "leads through a file",
    EISDIR: "is a folder",
  };
  const why = words[code as keyof typeof words] ?? `cannot be written (${code})`;
  return new Failure(code === "EACCES" ? "not-allowed" : "conflict", `${place} ${why}`, { cause: error });
}
