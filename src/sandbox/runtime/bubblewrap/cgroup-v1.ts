/**
 * Control groups of version 1: one tree for each controller, all with a folder `p2prc` at their top, which only root may
 * make. Here the limits of swap are written together with those of memory, where the kernel counts swap at all.
 */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type Cgroup,
  type CgroupLimits,
  type Cgroups,
  type CgroupUsage,
  type Controller,
  CPU_PERIOD_US,
  CPU_SHARES,
  controllers,
  cpuQuotaUs,
  fieldOf,
  foldersOf,
  moveInto,
  pidsIn,
  readKnob,
  removeFolder,
  sendSignal,
  writeKnob,
} from "./cgroup.ts";

export class CgroupsV1 implements Cgroups {
  readonly holds: ReadonlySet<Controller>;
  readonly problems: readonly string[];
  readonly #tops: Readonly<Partial<Record<Controller, string>>>;
  readonly #accounting: string | undefined;

  /**
   * @param mounts where each controller is mounted, `cpuacct` too
   * @param problems why some are not there
   */
  constructor(mounts: ReadonlyMap<string, string>, problems: readonly string[]) {
    const tops = controllers.flatMap((name) => {
      const mount = mounts.get(name);
      return mount === undefined ? [] : [[name, join(mount, "p2prc")] as const];
    });
    this.#tops = Object.fromEntries(tops);
    const accounting = mounts.get("cpuacct");
    this.#accounting = accounting === undefined ? undefined : join(accounting, "p2prc");
    this.holds = new Set(tops.map(([name]) => name));
    this.problems = problems;
  }

  plan(name: string): Cgroup {
    const folders = Object.entries(this.#tops).map(([controller, top]) => [controller, join(top, name)]);
    return { version: 1, folders: Object.fromEntries(folders) as Cgroup["folders"] };
  }

  async make(group: Cgroup, { cpus, memoryBytes, pids }: CgroupLimits): Promise<void> {
    await Promise.all(this.#all(group).map((folder) => mkdir(folder, { recursive: true })));
    const { cpu, memory, pids: processes } = group.folders;
    await Promise.all([
      writeKnob(cpu, "cpu.shares", CPU_SHARES),
      writeKnob(cpu, "cpu.cfs_period_us", CPU_PERIOD_US),
      writeKnob(cpu, "cpu.cfs_quota_us", cpuQuotaUs(cpus)),
      writeKnob(processes, "pids.max", pids),
      limitMemory(memory, memoryBytes),
    ]);
  }

  async join(group: Cgroup, pid: number): Promise<void> {
    await Promise.all(this.#all(group).map((folder) => moveInto(folder, pid)));
  }

  async freeze({ folders: { freezer } }: Cgroup, frozen: boolean): Promise<void> {
    if (freezer !== undefined) await writeKnob(freezer, "freezer.state", frozen ? "FROZEN" : "THAWED");
  }

  async isFrozen({ folders: { freezer } }: Cgroup): Promise<boolean> {
    return (await readKnob(freezer, "freezer.state")).startsWith("FR"); // FREEZING too: on its way
  }

  async usage(group: Cgroup): Promise<CgroupUsage | undefined> {
    const { memory, pids } = group.folders;
    const [cpuNs, memoryBytes, count, control] = await Promise.all([
      readKnob(this.#accountingFolder(group), "cpuacct.usage"),
      readKnob(memory, "memory.usage_in_bytes"),
      readKnob(pids, "pids.current"),
      readKnob(memory, "memory.oom_control"),
    ]);
    if (count === "") return undefined;
    return {
      cpuMs: Number(cpuNs) / 1e6,
      memoryBytes: Number(memoryBytes),
      pids: Number(count),
      oomKills: fieldOf(control, "oom_kill"),
    };
  }

  /** Frozen first, so that nothing forks away; a killed process must thaw to die. */
  async kill(group: Cgroup): Promise<void> {
    await this.freeze(group, true).catch(() => {}); // gone already, or no freezer
    for (const pid of await pidsIn(group.folders.pids ?? foldersOf(group)[0])) sendSignal(pid, "SIGKILL");
    await this.freeze(group, false).catch(() => {}); // gone already, or no freezer
  }

  async remove(group: Cgroup): Promise<boolean> {
    const gone = await Promise.all(this.#all(group).map(removeFolder));
    return gone.every((one) => one);
  }

  #all(group: Cgroup): readonly string[] {
    return [...new Set([...foldersOf(group), ...[this.#accountingFolder(group) ?? []].flat()])];
  }

  /** `cpuacct` is another tree on most machines; it limits nothing, so it is no controller to anybody else. */
  #accountingFolder(group: Cgroup): string | undefined {
    const name = foldersOf(group)[0]?.split("/").at(-1);
    return this.#accounting === undefined || name === undefined ? undefined : join(this.#accounting, name);
  }
}

async function limitMemory(folder: string | undefined, bytes: number): Promise<void> {
  await writeKnob(folder, "memory.limit_in_bytes", bytes);
  // Not there where the kernel does not count swap; then there mostly is none.
  await writeKnob(folder, "memory.memsw.limit_in_bytes", bytes).catch(() => {});
}
