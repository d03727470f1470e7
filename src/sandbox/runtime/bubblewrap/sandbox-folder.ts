/**
 * Where a sandbox lies on disk, and what is written down about it: enough for a daemon that has just started to find it
 * again, or to clear away what an earlier one left in the middle of making it.
 *
 * `layer/` alone belongs to those inside. All else is ours, and they do not see it.
 */

import { randomBytes } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, mkdir, open, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { SandboxSpec } from "../runtime.ts";
import { isSandboxId, type SandboxId } from "../sandbox-id.ts";
import type { Cgroup } from "./cgroup.ts";
import type { ProcessId } from "./process-id.ts";
import type { Users } from "./uid-ranges.ts";

export interface SandboxRecord {
  readonly spec: SandboxSpec;
  readonly users: Users;
  readonly cgroup: Cgroup;
  /** Whether `create` came to its end: without it the sandbox is to be removed. */
  readonly ready: boolean;
  /** The process outside that waits for the first one inside. */
  readonly monitor?: ProcessId;
  /** The first process inside. When it ends, all of them do. */
  readonly first?: ProcessId;
  /** What carries its packets, where it has a network. */
  readonly uplink?: ProcessId;
  /** The filter as the kernel showed it when it was new. */
  readonly filter?: string;
  /** Why it was frozen by us. */
  readonly frozenFor?: string;
}

export class SandboxFolder {
  readonly id: SandboxId;
  readonly path: string;
  /** What those inside may write: their homes, and what an image is changed by. */
  readonly layer: string;
  /** Where other folders are mounted, in namespaces of the sandbox's own only. */
  readonly mounts: string;

  constructor(root: string, id: SandboxId) {
    this.id = id;
    this.path = join(root, id);
    this.layer = join(this.path, "layer");
    this.mounts = join(this.path, "mounts");
  }

  /** What is mounted from it must be reached by users who may not list it; the home above it is closed to them all. */
  async make(): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o711 });
    await Promise.all([this.layer, this.mounts].map((folder) => mkdir(folder, { recursive: true, mode: 0o711 })));
  }

  /** @returns undefined where there is none, or none that can be read: its maker was interrupted by the end of the machine */
  async read(): Promise<SandboxRecord | undefined> {
    const text = await readFile(join(this.path, "record.json"), "utf8").catch(() => ""); // not there
    try {
      return JSON.parse(text) as SandboxRecord;
    } catch {
      return undefined;
    }
  }

  /** Whole or not at all. It need not survive the end of the machine: no sandbox does. */
  async write(record: SandboxRecord): Promise<void> {
    const temporary = join(this.path, `.record.${randomBytes(4).toString("hex")}`);
    await writeFile(temporary, JSON.stringify(record), { mode: 0o600 });
    await rename(temporary, join(this.path, "record.json"));
  }

  /** The socket of the resident, by a path that is short wherever the home lies. Good for as long as the handle is open. */
  async openSocket(): Promise<{ readonly handle: FileHandle; readonly socket: string }> {
    const handle = await open(this.path, constants.O_RDONLY | constants.O_DIRECTORY);
    return { handle, socket: `/proc/self/fd/${handle.fd}/resident.sock` };
  }
}

export async function sandboxFolders(root: string): Promise<readonly SandboxFolder[]> {
  const names = await readdir(root).catch(() => []); // none was ever made
  return names.flatMap((name) => (isSandboxId(name) ? [new SandboxFolder(root, name)] : []));
}
