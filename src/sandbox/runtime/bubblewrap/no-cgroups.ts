/**
 * No control groups: nothing is limited or counted by the kernel as a whole. What is left is the tree of processes below
 * the sandbox's first one, which this looks through.
 */

import { readdir, readFile } from "node:fs/promises";
import type { Cgroup, Cgroups, CgroupUsage, Controller } from "./cgroup.ts";

export class NoCgroups implements Cgroups {
  readonly holds: ReadonlySet<Controller> = new Set();
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    this.problems = problems;
  }

  plan(): Cgroup {
    return { version: 2, folders: {} };
  }

  async make(): Promise<void> {}
  async join(): Promise<void> {}
  async freeze(): Promise<void> {}
  async kill(): Promise<void> {}

  async isFrozen(): Promise<boolean> {
    return false;
  }

  async usage(): Promise<CgroupUsage | undefined> {
    return undefined;
  }

  async remove(): Promise<boolean> {
    return true;
  }
}

/** A process and all below it. What its parent left behind falls to the first one of the sandbox, which is in it. */
export async function processTree(root: number): Promise<readonly number[]> {
  const found: number[] = [];
  let level: readonly number[] = [root];
  while (level.length > 0) {
    found.push(...level);
    level = (await Promise.all(level.map(childrenOf))).flat().filter((pid) => !found.includes(pid));
  }
  return found;
}

/** Each thread has children of its own. */
async function childrenOf(pid: number): Promise<readonly number[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => []); // gone
  const lists = await Promise.all(
    threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/children`, "utf8").catch(() => "")), // gone
  );
  return lists.flatMap((list) => list.split(" ").flatMap((word) => (word === "" ? [] : [Number(word)])));
}
