/** What a sandbox has used: from its control group, or added up over its processes, and from its network namespace. */

import { readFile } from "node:fs/promises";
import type { SandboxStats } from "../runtime.ts";
import type { Cgroups, CgroupUsage } from "./cgroup.ts";
import { processTree } from "./no-cgroups.ts";
import { readStat } from "./process-id.ts";
import type { SandboxRecord } from "./sandbox-folder.ts";

/** sysconf(_SC_CLK_TCK) and the size of a page, as every Linux that Node runs on has them; arm64 may have larger pages. */
const TICKS_PER_SECOND = 100;
const PAGE_BYTES = 4_096;

export async function statsOf(record: SandboxRecord, cgroups: Cgroups, diskBytes: number): Promise<SandboxStats> {
  const [usage, traffic] = await Promise.all([
    cgroups.usage(record.cgroup).then((counted) => counted ?? addUp(record)),
    trafficOf(record.first?.pid),
  ]);
  const { cpuMs, memoryBytes, pids } = usage;
  return { cpuMs, memoryBytes, pids, diskBytes, ...traffic };
}

/** Those that ended uncounted by a parent inside are missing: it is what is left where the kernel does not count. */
async function addUp({ first }: SandboxRecord): Promise<Omit<CgroupUsage, "oomKills">> {
  const pids = first === undefined ? [] : await processTree(first.pid);
  const stats = (await Promise.all(pids.map(readStat))).flatMap((stat) => stat ?? []);
  const sum = (of: (stat: (typeof stats)[number]) => number) => stats.reduce((total, stat) => total + of(stat), 0);
  return {
    cpuMs: (sum(({ cpuTicks }) => cpuTicks) * 1_000) / TICKS_PER_SECOND,
    memoryBytes: sum(({ residentPages }) => residentPages) * PAGE_BYTES,
    pids: stats.length,
  };
}

/** proc(5), /proc/<pid>/net/dev: two lines of heads, then `name: received… sent…`, eight numbers each. */
async function trafficOf(pid: number | undefined): Promise<{ receivedBytes: number; sentBytes: number }> {
  const text = await readFile(`/proc/${pid ?? 0}/net/dev`, "utf8").catch(() => ""); // it has ended
  let receivedBytes = 0;
  let sentBytes = 0;
  for (const line of text.split("\n").slice(2)) {
    const [name = "", numbers = ""] = line.split(":");
    const fields = numbers.trim().split(/\s+/u).map(Number);
    if (name.trim() === "lo" || name === "") continue;
    receivedBytes += fields[0] ?? 0;
    sentBytes += fields[8] ?? 0;
  }
  return { receivedBytes, sentBytes };
}
