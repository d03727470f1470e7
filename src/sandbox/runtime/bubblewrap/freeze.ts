/** Stops every process of a sandbox where it stands, or lets them go on. */

import type { Clock } from "../../../base/index.ts";
import { type Cgroups, sendSignal } from "./cgroup.ts";
import { processTree } from "./no-cgroups.ts";
import { type ProcessId, readStat } from "./process-id.ts";
import { runTool } from "./run-tool.ts";
import type { SandboxRecord } from "./sandbox-folder.ts";
import type { Tools } from "./tools.ts";
import type { Users } from "./uid-ranges.ts";

export interface FreezeDeps {
  readonly clock: Clock;
  readonly cgroups: Cgroups;
  readonly tools: Tools;
}

/** Together a second: what forks faster than it can be stopped has no limit on processes, which `facts` says. */
const MAX_ROUNDS = 200;
const ROUND_MS = 5;

export async function freeze(
  { cgroup, users, first }: SandboxRecord,
  frozen: boolean,
  { deps: { clock, cgroups, tools }, signal }: { readonly deps: FreezeDeps; readonly signal: AbortSignal },
): Promise<void> {
  if (cgroups.holds.has("freezer")) {
    await cgroups.freeze(cgroup, frozen);
    return;
  }
  if (first === undefined) return;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    await signalAll({ users, first }, frozen ? "SIGSTOP" : "SIGCONT", { tools, signal });
    if ((await areStopped(first.pid)) === frozen) return;
    await clock.sleep(ROUND_MS, signal); // a signal takes effect when its process runs next, and meanwhile one may fork
  }
}

async function signalAll(
  { users, first }: { readonly users: Users; readonly first: ProcessId },
  name: "SIGSTOP" | "SIGCONT",
  { tools, signal }: { readonly tools: Tools; readonly signal: AbortSignal },
): Promise<void> {
  if (!users.many || process.getuid?.() === 0) {
    for (const pid of await others(first.pid)) sendSignal(pid, name);
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
  await runTool([...enter, "/bin/kill", `-${name.slice(3)}`, "--", "-1"], {}, signal);
}

/** All but the first, which does nothing but wait and takes no such signal. */
async function others(first: number): Promise<readonly number[]> {
  return (await processTree(first)).filter((pid) => pid !== first);
}

export async function isFrozen({ cgroup, first }: SandboxRecord, cgroups: Cgroups): Promise<boolean> {
  if (cgroups.holds.has("freezer")) return await cgroups.isFrozen(cgroup);
  return first !== undefined && (await areStopped(first.pid));
}

async function areStopped(first: number): Promise<boolean> {
  const stats = await Promise.all((await others(first)).map(readStat));
  const states = stats.flatMap((stat) => stat?.state ?? []);
  return states.length > 0 && states.every((state) => state === "T");
}
