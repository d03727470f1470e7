/**
 * A process that is known for certain: its number, with the moment it started in this boot of the machine. Numbers are
 * given out again; the two together are not.
 */

import { readFile } from "node:fs/promises";

export interface ProcessId {
  readonly pid: number;
  /** In clock ticks since the boot, as /proc/<pid>/stat says. */
  readonly start: number;
  readonly boot: string;
}

/** @returns undefined when there is none with that number */
export async function identifyProcess(pid: number): Promise<ProcessId | undefined> {
  const [boot, stat] = await Promise.all([bootId(), readStat(pid)]);
  return stat === undefined ? undefined : { pid, start: stat.start, boot };
}

/** One that is dead but not yet gathered by its parent does not live. */
export async function isAlive(id: ProcessId): Promise<boolean> {
  const stat = await readStat(id.pid);
  return stat !== undefined && stat.start === id.start && stat.state !== "Z" && (await bootId()) === id.boot;
}

/** SIGKILL, unless another one has its number by now. */
export async function killProcess(id: ProcessId): Promise<void> {
  if (!(await isAlive(id))) return;
  try {
    process.kill(id.pid, "SIGKILL");
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

interface Stat {
  readonly state: string;
  readonly start: number;
  /** In clock ticks: its own and that of the children it has gathered. */
  readonly cpuTicks: number;
  readonly residentPages: number;
}

/** proc(5). The second field is the program's name in parentheses, which may hold anything. */
export async function readStat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ""); // gone
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  if (fields.length < 22) return undefined;
  const [user = 0, system = 0, childUser = 0, childSystem = 0] = fields.slice(11, 15).map(Number);
  return {
    state: fields[0] ?? "",
    start: Number(fields[19]),
    cpuTicks: user + system + childUser + childSystem,
    residentPages: Number(fields[21]),
  };
}

let boot: Promise<string> | undefined;

function bootId(): Promise<string> {
  boot ??= readFile("/proc/sys/kernel/random/boot_id", "utf8").then((text) => text.trim());
  return boot;
}
