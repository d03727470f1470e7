/** Stops every process of a sandbox where it stands, or lets them go on. */

import type { Cgroups } from "./cgroup.ts";
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
  { cgroup, first }: SandboxRecord,
  frozen: boolean,
  { deps: { cgroups, tools }, signal }: { readonly deps: FreezeDeps; readonly signal: AbortSignal },
): Promise<void> {
  if (cgroups.holds.has("freezer")) {
    await cgroups.freeze(cgroup, frozen);
    return;
  }
  if (first === undefined) return;
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

export async function isFrozen({ cgroup, first }: SandboxRecord, cgroups: Cgroups): Promise<boolean> {
  if (cgroups.holds.has("freezer")) return await cgroups.isFrozen(cgroup);
  if (first === undefined) return false;
  const inside = (await processTree(first.pid)).filter((pid) => pid !== first.pid);
  const stats = await Promise.all(inside.map(readStat));
  return inside.length > 0 && stats.every((stat) => stat === undefined || stat.state === "T");
}
