/** Stops every process of a sandbox where it stands, or lets them go on. */

import { type Cgroups, sendSignal } from "./cgroup.ts";
import { processTree } from "./no-cgroups.ts";
import { readStat } from "./process-id.ts";
import { runTool } from "./run-tool.ts";
import type { SandboxRecord } from "./sandbox-folder.ts";
import type { Tools } from "./tools.ts";

export interface FreezeDeps {
  readonly cgroups: Cgroups;
  readonly tools: Tools;
}

export async function freeze(
  { cgroup, users, first }: SandboxRecord,
  frozen: boolean,
  { deps: { cgroups, tools }, signal }: { readonly deps: FreezeDeps; readonly signal: AbortSignal },
): Promise<void> {
  if (cgroups.holds.has("freezer")) {
    await cgroups.freeze(cgroup, frozen);
    return;
  }
  if (first === undefined) return;
  if (!users.many || process.getuid?.() === 0) {
    await signalAll(first.pid, frozen ? "SIGSTOP" : "SIGCONT");
    return;
  }
  // By a process inside its namespaces, which may send signals to users that are not ours; -1 is everybody there but the first.
  const enter = [
    tools.nsenter,
    "--target",
    String(first.pid),
    "--user",
    "--pid",
    "--preserve-credentials",
    "--",
  ] as const;
  await runTool([...enter, "/bin/kill", frozen ? "-STOP" : "-CONT", "--", "-1"], {}, signal);
}

/** Again while new ones turn up: one that is not stopped yet may fork. @param first it takes no such signal, and does nothing */
async function signalAll(first: number, signal: "SIGSTOP" | "SIGCONT"): Promise<void> {
  const told = new Set([first]);
  for (let news = await others(first, told); news.length > 0; news = await others(first, told)) {
    for (const pid of news) {
      told.add(pid);
      sendSignal(pid, signal);
    }
  }
}

async function others(first: number, told: ReadonlySet<number>): Promise<readonly number[]> {
  return (await processTree(first)).filter((pid) => !told.has(pid));
}

export async function isFrozen({ cgroup, first }: SandboxRecord, cgroups: Cgroups): Promise<boolean> {
  if (cgroups.holds.has("freezer")) return await cgroups.isFrozen(cgroup);
  if (first === undefined) return false;
  const inside = (await processTree(first.pid)).filter((pid) => pid !== first.pid);
  const stats = await Promise.all(inside.map(readStat));
  return inside.length > 0 && stats.every((stat) => stat === undefined || stat.state === "T");
}
