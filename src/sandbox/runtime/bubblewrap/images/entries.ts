/**
 * Which entries of an image's layers make up its file system, and which are refused. Layers are read from the top one down:
 * what a higher one has, or has taken away, a lower one no longer adds.
 *
 * The names are a stranger's. Even a bad one could do no harm where it is unpacked (`unpack.ts`); here is where it is told.
 */

import { Failure } from "../../../../core/index.ts";

export interface EntryHead {
  readonly name: string;
  readonly type: string;
  readonly linkname: string;
  readonly size: number;
}

/** A distribution has some 10,000 files for a base system, and 500,000 with everything that one can think of. */
export const MAX_ENTRIES = 1_000_000;
/** security.md T22. */
export const MAX_UNPACKED_BYTES = 8 * 1024 ** 3;
const MAX_NAME_BYTES = 4_096;

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";
/** Folders in which a sandbox has things of its own. */
const NOT_TAKEN = new Set(["dev", "proc", "sys", ".p2prc"]);
/** Written for each sandbox, and mounted over what stands here. */
export const OWN_FILES = ["etc/hostname", "etc/hosts", "etc/resolv.conf"] as const;
const TAKEN_TYPES = new Set(["file", "contiguous-file", "directory", "symlink", "link"]);

export class EntryChooser {
  /** What is settled: by path, whether it is a folder. */
  readonly #settled = new Map<string, boolean>();
  /** Folders whose content in lower layers is gone, and paths that are. Those of this layer count from the next one on. */
  readonly #gone = new Set<string>();
  readonly #goneHere = new Set<string>();
  readonly #settledHere = new Map<string, boolean>();
  #entries = 0;
  #bytes = 0;

  /** @returns the path to unpack it at, or undefined where it is to be left out @throws {Failure} bad-image, too-large */
  take(entry: EntryHead): string | undefined {
    this.#count(entry);
    const path = cleanPath(entry.name);
    if (path === "" || NOT_TAKEN.has(path.split("/")[0] ?? "")) return undefined;
    if (OWN_FILES.some((file) => file === path)) return undefined;
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name.startsWith(WHITEOUT)) {
      this.#goneHere.add(whitedOut(path, name));
      return undefined;
    }
    if (!TAKEN_TYPES.has(entry.type)) return undefined; // devices, pipes: no sandbox has any
    if (entry.type === "link") cleanPath(entry.linkname);
    if (this.#isHidden(path)) return undefined;
    this.#settledHere.set(path, entry.type === "directory");
    return path;
  }

  /** The next entries are those of the layer below. */
  nextLayer(): void {
    for (const [path, isFolder] of this.#settledHere) this.#settled.set(path, isFolder);
    for (const path of this.#goneHere) this.#gone.add(path);
    this.#settledHere.clear();
    this.#goneHere.clear();
  }

  #count({ size }: EntryHead): void {
    this.#entries++;
    this.#bytes += size;
    if (this.#entries > MAX_ENTRIES) throw tooLarge(`more than ${MAX_ENTRIES} files`);
    if (this.#bytes > MAX_UNPACKED_BYTES) throw tooLarge(`more than ${MAX_UNPACKED_BYTES / 1024 ** 3} GiB`);
  }

  #isHidden(path: string): boolean {
    if (this.#settled.has(path) || this.#gone.has(path)) return true;
    for (let at = path.lastIndexOf("/"); at > 0; at = path.lastIndexOf("/", at - 1)) {
      const above = path.slice(0, at);
      if (this.#gone.has(above) || this.#gone.has(`${above}/`) || this.#settled.get(above) === false) return true;
    }
    return this.#gone.has("/");
  }
}

/** `a/.wh.b`: a/b was removed. `a/.wh..wh..opq`: all that was in a was; written here as `a/`. */
function whitedOut(path: string, name: string): string {
  const folder = path.slice(0, path.length - name.length);
  if (name === OPAQUE) return folder === "" ? "/" : folder;
  return `${folder}${name.slice(WHITEOUT.length)}`;
}

/** @returns without `./` before and `/` behind @throws {Failure} bad-image */
export function cleanPath(name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  const bad = name.includes("\0") || parts.includes("..") || Buffer.byteLength(name) > MAX_NAME_BYTES;
  if (bad) throw new Failure("bad-image", `the image names a file outside of itself: "${name.slice(0, 100)}"`);
  return parts.join("/");
}

function tooLarge(what: string): Failure {
  return new Failure("too-large", `the image has ${what}`, { hint: "make a smaller one" });
}
