/** What is common to both directions: one copy under way, with what it may take and how far it is. */

import { posix } from "node:path";
import { Failure, formatSize } from "../../core/light.ts";
import type { CopyDeps } from "./copy-files.ts";
import { FarFiles } from "./far-files.ts";

/** Larger files go by themselves and may be gone on with; smaller ones are sent again. */
export const LARGE_BYTES = 64 * 1024 * 1024;
/** A sandbox may send without end. */
const MAX_BYTES = 100 * 1024 ** 3;

export class Transfer {
  readonly deps: CopyDeps;
  readonly far: FarFiles;
  readonly #maxBytes: number;
  entries = 0;
  #bytes = 0;

  constructor(deps: CopyDeps, maxBytes: number = MAX_BYTES) {
    this.deps = deps;
    this.far = new FarFiles(deps.open);
    this.#maxBytes = maxBytes;
  }

  /** Of what is whole. */
  get bytes(): number {
    return this.#bytes;
  }

  get room(): number {
    return this.#maxBytes - this.#bytes;
  }

  /** @throws {Failure} too-large */
  take(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) throw this.tooLarge();
  }

  tooLarge(): Failure {
    return new Failure("too-large", `more than ${formatSize(this.#maxBytes)} would come`, {
      hint: "allow more with --max-size",
    });
  }

  /** Counts from `from` on. */
  counter({ name, from = 0, all }: { readonly name: string; readonly from?: number; readonly all?: number }) {
    let bytes = from + (all === undefined ? this.#bytes : 0);
    return (count: number) => {
      bytes += count;
      this.deps.onProgress({ name, bytes, ...(all === undefined ? {} : { all }) });
    };
  }
}

/** A path as a person writes it for a sandbox: `~` is the home, where relative paths begin. */
export function farPath(path: string): { readonly path: string; readonly slash: boolean; readonly contents: boolean } {
  const plain = path === "~" ? "" : path.replace(/^~\//u, "");
  const contents = /(?:^|\/)\.{1,2}$/u.test(plain) || plain === "" || plain === "/";
  return { path: plain === "" ? "." : posix.normalize(plain), slash: plain.endsWith("/"), contents };
}
