/**
 * Where an entry of an archive may go: below the folder that was named, and never through a link. An archive is a stranger's:
 * names that leave the folder, and links that later entries would be led through, are refused rather than mended.
 */

import { lstat, mkdir } from "node:fs/promises";
import { dirname, join, sep } from "node:path";
import { Refusal } from "./refusal.ts";

const MAX_NAME_BYTES = 4_096;
const MAX_DEPTH = 128;
/** Folders that were looked at and are remembered as folders; beyond that they are looked at again. */
const MAX_REMEMBERED = 10_000;

type System = "posix" | "windows";

const HERE: System = sep === "\\" ? "windows" : "posix";
/** There a backslash separates folders too, and a colon begins another drive, or a stream of a file. */
const WINDOWS_WAYS = /[\\:]/u;

/**
 * The name as parts; empty for the folder itself.
 * @throws {Refusal} bad-argument
 */
export function parseEntryName(name: string, system: System = HERE): readonly string[] {
  const shown = JSON.stringify(name.slice(0, 100));
  if (name.startsWith("/") || name.includes("\0"))
    throw new Refusal("bad-argument", `refused: an entry is called ${shown}`);
  if (Buffer.byteLength(name) > MAX_NAME_BYTES)
    throw new Refusal("bad-argument", `refused: too long a name: ${shown}…`);
  if (system === "windows" && WINDOWS_WAYS.test(name))
    throw new Refusal("bad-argument", `refused: an entry is called ${shown}, which names another place on Windows`);
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (parts.includes("..")) throw new Refusal("bad-argument", `refused: an entry leaves the folder: ${shown}`);
  if (parts.length > MAX_DEPTH) throw new Refusal("bad-argument", `refused: folders are nested over ${MAX_DEPTH} deep`);
  return parts;
}

export class SafeFolder {
  readonly #root: string;
  readonly #folders = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  /**
   * The path of an entry whose folders are there, made where they were missing, and are no links.
   * @throws {Refusal} bad-argument
   */
  async pathOf(parts: readonly string[]): Promise<string> {
    let path = this.#root;
    for (const part of parts.slice(0, -1)) {
      path = join(path, part);
      await this.makeFolder(path);
    }
    return join(path, parts.at(-1) ?? "");
  }

  /** @param path one whose parent is known to be safe */
  async makeFolder(path: string): Promise<void> {
    if (this.#folders.has(path)) return;
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
    const stats = await lstat(path);
    if (!stats.isDirectory()) {
      throw new Refusal("bad-argument", `refused: ${JSON.stringify(path)} is no folder, and links are not followed`);
    }
    if (this.#folders.size >= MAX_REMEMBERED) this.#folders.clear();
    this.#folders.add(path);
  }

  /**
   * Whether a link leads out of the folder, or could. One that goes up first and down then is as safe as it looks, since it
   * stands in a true folder; going up once more would be from wherever the links on its way lead (`a -> .`, `b -> a/a/../..`).
   */
  leadsOut(from: string, target: string, system: System = HERE): boolean {
    if (target.startsWith("/") || (system === "windows" && WINDOWS_WAYS.test(target))) return true;
    const parts = target.split("/").filter((part) => part !== "" && part !== ".");
    const down = parts.findIndex((part) => part !== "..");
    if (down >= 0 && parts.includes("..", down)) return true;
    const path = join(dirname(from), ...parts);
    return path !== this.#root && !path.startsWith(this.#root.endsWith(sep) ? this.#root : `${this.#root}${sep}`);
  }

  /** What was a folder may now be something else. */
  forget(path: string): void {
    if (this.#folders.has(path)) this.#folders.clear();
  }
}
