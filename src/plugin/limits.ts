/** How large a plugin may be: it is a recipe, not a load. And what may be the name of a file in it. */

import { Failure } from "../core/index.ts";

export const MAX_FILES = 2_000;
export const MAX_BYTES = 64 * 1_024 ** 2;
const MAX_DEPTH = 16;
const MAX_PATH_LENGTH = 400;

/** Counts files and their bytes. */
export class Room {
  #files = 0;
  #bytes = 0;

  /** @throws {Failure} too-large */
  take(bytes: number): void {
    this.#files++;
    this.#bytes += bytes;
    if (this.#files > MAX_FILES) throw new Failure("too-large", `a plugin has at most ${MAX_FILES} files`);
    if (this.#bytes > MAX_BYTES) throw new Failure("too-large", `a plugin has at most ${MAX_BYTES / 1_024 ** 2} MiB`);
  }
}

/** A path below the plugin's folder, in parts. @throws {Failure} not-allowed */
export function safeParts(path: string): readonly string[] {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  const bad =
    path.startsWith("/") ||
    path.length > MAX_PATH_LENGTH ||
    parts.length > MAX_DEPTH ||
    parts.some((part) => part === ".." || /[\p{Cc}\\]/u.test(part));
  if (!bad) return parts;
  throw refused(path, "leads out of its folder, or is none that every system takes");
}

export function refused(path: string, why: string): Failure {
  return new Failure("not-allowed", `"${path.slice(0, 120).replaceAll(/\p{C}/gu, "?")}" in the plugin ${why}`);
}
