/**
 * How much disk each sandbox takes. To walk through all that a guest has written is dear, so it is done only when it could
 * matter: when more was written on the whole file system since the last walk than the guest still had left, or a minute ago.
 */

import { statfs } from "node:fs/promises";
import type { Clock } from "../../../base/index.ts";
import { runAs } from "./launch.ts";
import { runTool } from "./run-tool.ts";
import type { SandboxFolder, SandboxRecord } from "./sandbox-folder.ts";
import type { SandboxId } from "../sandbox-id.ts";
import type { Tools } from "./tools.ts";

export interface DiskUse {
  readonly bytes: number;
  readonly files: number;
}

export interface DiskUsesDeps {
  readonly clock: Clock;
  readonly tools: Tools;
}

interface Measured extends DiskUse {
  readonly at: number;
  /** Of the whole file system then. */
  readonly whole: DiskUse;
}

const WALK_AT_LEAST_EVERY_MS = 60_000;
/** A guest may have one file for so many bytes: ext4 makes as many inodes as it has pieces of 16 KiB. */
const BYTES_PER_FILE = 16 * 1024;
/** A system is made of this many, however small the disk. */
const MIN_FILES = 50_000;

export class DiskUses {
  readonly #deps: DiskUsesDeps;
  readonly #measured = new Map<SandboxId, Measured>();

  constructor(deps: DiskUsesDeps) {
    this.#deps = deps;
  }

  /** What it takes, as of at most a minute ago, and never so old that it could be over its limits since. */
  async of(folder: SandboxFolder, record: SandboxRecord, signal: AbortSignal): Promise<DiskUse> {
    const whole = await wholeUse(folder.path);
    const last = this.#measured.get(folder.id);
    if (last !== undefined && !this.#isStale(last, whole, limitsOf(record))) return last;
    const use = await this.#walk(folder, record, signal);
    this.#measured.set(folder.id, { ...use, whole, at: this.#deps.clock.now() });
    return use;
  }

  /** Forgets all others. */
  keep(there: ReadonlySet<SandboxId>): void {
    for (const id of this.#measured.keys()) if (!there.has(id)) this.#measured.delete(id);
  }

  #isStale(last: Measured, whole: DiskUse, limits: DiskUse): boolean {
    if (this.#deps.clock.now() - last.at > WALK_AT_LEAST_EVERY_MS) return true;
    const left = { bytes: limits.bytes - last.bytes, files: limits.files - last.files };
    // Half of it, since what others removed meanwhile hides what this one wrote.
    return whole.bytes - last.whole.bytes > left.bytes / 2 || whole.files - last.whole.files > left.files / 2;
  }

  /** By `du`, which follows no link; as somebody who may look into all of it, and behind everybody who wants the processor. */
  async #walk({ layer }: SandboxFolder, { users }: SandboxRecord, signal: AbortSignal): Promise<DiskUse> {
    const { tools } = this.#deps;
    const du = tools.du ?? "du";
    const own = !users.many || process.getuid?.() === 0;
    const run = (argv: readonly [string, ...string[]]) =>
      own ? runTool(argv, {}, signal) : runAs(users, { tools, argv }, signal);
    const common = ["nice", "-n", "19", du, "--summarize", "--one-file-system"] as const;
    const [bytes, files] = await Promise.all([
      run([...common, "--block-size=1", "--", layer]),
      run([...common, "--inodes", "--", layer]),
    ]);
    return { bytes: Number.parseInt(bytes, 10), files: Number.parseInt(files, 10) };
  }
}

export function limitsOf({ spec }: SandboxRecord): DiskUse {
  return { bytes: spec.diskBytes, files: Math.max(MIN_FILES, Math.floor(spec.diskBytes / BYTES_PER_FILE)) };
}

async function wholeUse(path: string): Promise<DiskUse> {
  const { blocks, bfree, bsize, files, ffree } = await statfs(path);
  return { bytes: (blocks - bfree) * bsize, files: files - ffree };
}
