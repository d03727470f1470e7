/**
 * Control groups of version 2: one tree. Root makes `p2prc.slice` at its top; anybody else needs a subtree that systemd
 * has handed over ("delegated"), whose own processes must first go into a leaf of it, since a group with controllers below
 * it may hold none.
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
  cpuQuotaUs,
  fieldOf,
  moveInto,
  pidsIn,
  readKnob,
  removeFolder,
  writeKnob,
} from "./cgroup.ts";

/** What is asked to be held below a group. Freezing is no controller here: every group can. */
const WANTED = ["cpu", "memory", "pids"] as const;
/** What 128 of 1024 shares are in the words of this version: 100 is everybody's. */
const CPU_WEIGHT = 12;

export class CgroupsV2 implements Cgroups {
  readonly holds: ReadonlySet<Controller>;
  readonly problems: readonly string[];
  readonly #top: string;

  /**
   * Makes `top` and hands down to it what `above` has.
   * @param above a group that holds no process by itself, or the top of the tree
   * @throws what the file system says where it is not ours to write in
   */
  static async open(above: string, top: string): Promise<CgroupsV2> {
    await handDown(above);
    await mkdir(top, { recursive: true });
    const enabled = new Set(await handDown(top));
    const missing = WANTED.filter((name) => !enabled.has(name));
    return new CgroupsV2(
      top,
      enabled,
      missing.map((name) => `The control group of the daemon has no "${name}", so sandboxes have no limit of it.`),
    );
  }

  private constructor(top: string, enabled: ReadonlySet<Controller>, problems: readonly string[]) {
    this.#top = top;
    this.holds = new Set([...enabled, "freezer"]);
    this.problems = problems;
  }

  plan(name: string): Cgroup {
    const folder = join(this.#top, name);
    return { version: 2, folders: Object.fromEntries([...this.holds].map((controller) => [controller, folder])) };
  }

  async make(group: Cgroup, { cpus, memoryBytes, pids }: CgroupLimits): Promise<void> {
    await mkdir(folderOf(group), { recursive: true });
    const { cpu, memory, pids: processes } = group.folders;
    await Promise.all([
      writeKnob(cpu, "cpu.weight", CPU_WEIGHT),
      writeKnob(cpu, "cpu.max", `${cpuQuotaUs(cpus)} ${CPU_PERIOD_US}`),
      writeKnob(memory, "memory.max", memoryBytes),
      writeKnob(memory, "memory.swap.max", 0).catch(() => {}), // not there without swap in the kernel
      writeKnob(processes, "pids.max", pids),
    ]);
  }

  async join(group: Cgroup, pid: number): Promise<void> {
    await moveInto(folderOf(group), pid);
  }

  async freeze(group: Cgroup, frozen: boolean): Promise<void> {
    await writeKnob(folderOf(group), "cgroup.freeze", frozen ? 1 : 0);
  }

  async isFrozen(group: Cgroup): Promise<boolean> {
    return (await readKnob(folderOf(group), "cgroup.freeze")).trim() === "1";
  }

  async usage(group: Cgroup): Promise<CgroupUsage | undefined> {
    const folder = folderOf(group);
    const [cpu, memory, pids, events] = await Promise.all([
      readKnob(folder, "cpu.stat"),
      readKnob(folder, "memory.current"),
      readKnob(folder, "pids.current"),
      readKnob(folder, "memory.events"),
    ]);
    if (cpu === "") return undefined;
    return {
      cpuMs: fieldOf(cpu, "usage_usec") / 1_000,
      memoryBytes: Number(memory),
      pids: pids === "" ? (await pidsIn(folder)).length : Number(pids),
      oomKills: fieldOf(events, "oom_kill"),
    };
  }

  /** Linux 5.14; frozen ones die too. */
  async kill(group: Cgroup): Promise<void> {
    await writeKnob(folderOf(group), "cgroup.kill", 1).catch(() => {}); // gone already
  }

  remove(group: Cgroup): Promise<boolean> {
    return removeFolder(folderOf(group));
  }
}

function folderOf({ folders }: Cgroup): string {
  const folder = folders.freezer;
  if (folder === undefined) throw new Error("a group of version 2 without a folder");
  return folder;
}

/** One by one, since a single one that is refused would refuse them all. @returns those that are handed down */
async function handDown(folder: string): Promise<readonly Controller[]> {
  const there = new Set((await readKnob(folder, "cgroup.controllers")).trim().split(" "));
  const done: Controller[] = [];
  for (const name of WANTED) {
    if (!there.has(name)) continue;
    try {
      await writeKnob(folder, "cgroup.subtree_control", `+${name}`);
      done.push(name);
    } catch (error) {
      if (!(error instanceof Error && "code" in error)) throw error; // a defect
    }
  }
  return done;
}
