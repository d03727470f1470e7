/** What the numbers were measured on, without which they say nothing. */

import { execFileSync } from "node:child_process";
import { cpus, totalmem } from "node:os";

export interface Machine {
  readonly date: string;
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly system: string;
  readonly node: string;
  readonly commit: string;
}

export function thisMachine(): Machine {
  return {
    date: new Date().toISOString().slice(0, 16),
    cpu: cpus()[0]?.model.trim() ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${process.arch}`,
    node: process.version,
    commit: commit(),
  };
}

export function formatMachine({ date, cpu, cores, memoryGiB, system, node, commit: at }: Machine): string {
  return `${date} UTC, ${cores} x ${cpu}, ${memoryGiB} GiB, ${system}, Node ${node}, commit ${at}`;
}

function commit(): string {
  try {
    return execFileSync("git", ["-C", import.meta.dirname, "describe", "--always", "--dirty"], {
      encoding: "utf8",
    }).trim();
  } catch {
    return "unknown"; // not a clone
  }
}
