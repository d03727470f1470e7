/** What the kernel says that a process costs. Linux: elsewhere there is nothing to read, and the number is undefined. */

import { readFileSync, writeFileSync } from "node:fs";

const KIB = 1_024;
/** What a tick is worth to every Linux program (`getconf CLK_TCK`). */
const TICK_MS = 10;

export function rssBytes(pid: number): number | undefined {
  return statusBytes(pid, "VmRSS");
}

/** The most it has had since `resetPeak`. */
export function peakRssBytes(pid: number): number | undefined {
  return statusBytes(pid, "VmHWM");
}

/** proc(5): 5 in clear_refs sets the peak back to what it has now. */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, "5");
  } catch {
    return; // not Linux, or not ours: the peak is then that of its whole life
  }
}

/** Time on a processor, its own and the kernel's for it. */
export function cpuMs(pid: number): number | undefined {
  const fields = read(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, "")
    .split(" ");
  return fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function statusBytes(pid: number, field: string): number | undefined {
  const kib = new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(read(`/proc/${pid}/status`) ?? "")?.[1];
  return kib === undefined ? undefined : Number(kib) * KIB;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // no such process, or no such file on this system
  }
}
