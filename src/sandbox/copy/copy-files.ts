/**
 * Files between this machine and a sandbox, without a stop on the way: what is read here is written there.
 *
 * Where it goes is decided as `scp -r` does: into the target where that is a folder, under the name of the target where
 * nothing is there yet; `folder/.` stands for what is in it. What does the work is loaded when it is needed.
 */

import type { Clock } from "../../base/index.ts";
import type { OpenFiles } from "./far-files.ts";

export interface CopyDeps {
  /** A stream to `put/<path>` or `get/<path>` as `resident/files.ts` has them. */
  readonly open: OpenFiles;
  readonly clock: Clock;
  /** How it goes. `all` is known of a single file alone. */
  readonly onProgress: (progress: CopyProgress) => void;
  /** The link broke and is tried again. */
  readonly onRetry: (why: string) => void;
}

export interface CopyProgress {
  readonly name: string;
  readonly bytes: number;
  readonly all?: number;
}

export interface CopyWish {
  readonly from: CopyPlace;
  readonly to: CopyPlace;
  /** More is refused: what comes from a sandbox may have no end. @default 100 GiB */
  readonly maxBytes?: number;
}

/** A path on this machine, or in a sandbox. */
export interface CopyPlace {
  readonly box?: string;
  readonly path: string;
}

export interface Copied {
  /** Files, folders and links. */
  readonly entries: number;
  readonly bytes: number;
  /** Where it is now. */
  readonly path: string;
}

/** One of the two places is in a sandbox. @throws {Failure} not-found, not-allowed, conflict, disk-full, too-large, link-lost, … */
export async function copyFiles(deps: CopyDeps, wish: CopyWish, signal: AbortSignal): Promise<Copied> {
  if (wish.from.box === undefined) return await (await import("./copy-in.ts")).copyIn(deps, wish, signal);
  return await (await import("./copy-out.ts")).copyOut(deps, wish, signal);
}
