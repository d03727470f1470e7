/** Files of this machine: what is there, and what went wrong with them in words. */

import { lstat, stat } from "node:fs/promises";
import { cleanText, Failure } from "../../core/light.ts";
import type { FileFacts } from "../resident/file-range.ts";
import { Refusal, refusalFrom } from "../resident/refusal.ts";

export interface NearFacts {
  readonly kind: FileFacts["kind"];
  readonly size: number;
  readonly mtimeMs: number;
  readonly mode: number;
}

/** Undefined: nothing is there. @throws {Failure} not-allowed, … */
export async function lookHere(path: string, { follow }: { readonly follow: boolean }): Promise<NearFacts | undefined> {
  try {
    const stats = await (follow ? stat(path) : lstat(path));
    const kind = stats.isFile() ? "file" : stats.isDirectory() ? "folder" : stats.isSymbolicLink() ? "link" : "other";
    return { kind, size: stats.size, mtimeMs: Math.max(0, Math.round(stats.mtimeMs)), mode: stats.mode & 0o777 };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw failureHere(error, path);
  }
}

/** What a step on this machine ended with; what is a Failure already, or no error of the system, stays as it is. */
export function failureHere(error: unknown, path: string): unknown {
  if (error instanceof Failure) return error;
  if (error instanceof Refusal) return new Failure(error.code, cleanText(error.message, 300), { cause: error });
  if (!(error instanceof Error) || !("syscall" in error)) return error;
  const { code, message } = refusalFrom(error, path);
  return new Failure(code, message, {
    hint: code === "disk-full" ? "make room; nothing half-written is left under the final name" : undefined,
    cause: error,
  });
}
