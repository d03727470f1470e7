/**
 * What a sandbox may use, and what it has used: a control group for each, in version 1 or 2 of the kernel's interface.
 *
 * A group is its folders, which are written down with the sandbox: a later daemon, which may itself live in another group,
 * finds them there. Every call is content when the group is gone already, except `make`.
 */

import { readFile, rmdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface CgroupLimits {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly pids: number;
}

export interface CgroupUsage {
  readonly cpuMs: number;
  readonly memoryBytes: number;
  readonly pids: number;
  /** How many processes were ended because the memory was used up. */
  readonly oomKills: number;
}

export const controllers = ["cpu", "memory", "pids", "freezer"] as const;
export type Controller = (typeof controllers)[number];

/** The folder of each controller that is there; in version 2 all are one. */
export interface Cgroup {
  readonly version: 1 | 2;
  readonly folders: Readonly<Partial<Record<Controller, string>>>;
}

export interface Cgroups {
  /** What can be held to a limit here. */
  readonly holds: ReadonlySet<Controller>;
  /** What to do for those that are missing, in whole sentences. */
  readonly problems: readonly string[];
  /** The folders that `make` will make. */
  plan(name: string): Cgroup;
  make(group: Cgroup, limits: CgroupLimits): Promise<void>;
  join(group: Cgroup, pid: number): Promise<void>;
  freeze(group: Cgroup, frozen: boolean): Promise<void>;
  isFrozen(group: Cgroup): Promise<boolean>;
  usage(group: Cgroup): Promise<CgroupUsage | undefined>;
  /** Sends every process in it SIGKILL, frozen ones too. They may take a moment to be gone. */
  kill(group: Cgroup): Promise<void>;
  /** @returns whether it is gone; not as long as a process is in it */
  remove(group: Cgroup): Promise<boolean>;
}

/** Of 1024 for everything else: the owner's own work comes first. */
export const CPU_SHARES = 128;
/** The scheduler's window: short ones cost more, long ones make stutter. */
export const CPU_PERIOD_US = 100_000;
/** The kernel refuses less. */
export const MIN_CPU_QUOTA_US = 1_000;

export function cpuQuotaUs(cpus: number): number {
  return Math.max(MIN_CPU_QUOTA_US, Math.round(cpus * CPU_PERIOD_US));
}

/** One folder for each of a group, though in version 2 its controllers share one. */
export function foldersOf({ folders }: Cgroup): readonly string[] {
  return [...new Set(Object.values(folders))];
}

export async function writeKnob(folder: string | undefined, knob: string, value: string | number): Promise<void> {
  if (folder !== undefined) await writeFile(join(folder, knob), String(value));
}

/** @returns "" where there is no such file */
export async function readKnob(folder: string | undefined, knob: string): Promise<string> {
  if (folder === undefined) return "";
  return await readFile(join(folder, knob), "utf8").catch(() => ""); // the group is gone, or the kernel is older
}

/** A line `key value` of a file of such lines. */
export function fieldOf(text: string, key: string): number {
  const line = text.split("\n").find((candidate) => candidate.startsWith(`${key} `));
  return line === undefined ? 0 : Number(line.slice(key.length + 1));
}

export async function pidsIn(folder: string | undefined): Promise<readonly number[]> {
  const text = await readKnob(folder, "cgroup.procs");
  return text.split("\n").flatMap((line) => (line === "" ? [] : [Number(line)]));
}

/** @returns whether it is gone; not as long as a process is in it */
export async function removeFolder(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "ENOENT") return true;
    if (code !== "EBUSY" && code !== "ENOTEMPTY") throw error;
    return false;
  }
}

/** A process may have ended before it was asked for. */
export function sendSignal(pid: number, signal: "SIGKILL" | "SIGSTOP" | "SIGCONT"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** A process may end just before it is moved: then there is nothing to move. */
export async function moveInto(folder: string, pid: number): Promise<void> {
  try {
    await writeFile(join(folder, "cgroup.procs"), String(pid));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
