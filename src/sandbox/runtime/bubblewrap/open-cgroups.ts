/**
 * Finds out which control groups this daemon may make, and says what is to be done where it may make none.
 */

import { access, constants, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { type Cgroups, controllers, moveInto, pidsIn } from "./cgroup.ts";
import { CgroupsV1 } from "./cgroup-v1.ts";
import { CgroupsV2 } from "./cgroup-v2.ts";
import { NoCgroups } from "./no-cgroups.ts";

export interface CgroupSources {
  /** As /proc/self/mountinfo says. */
  readonly mountinfo: string;
  /** As /proc/self/cgroup says. */
  readonly own: string;
  readonly root: boolean;
}

const DELEGATION =
  "No control group is ours to make, so memory, CPU and processes of a sandbox have no limit: start the daemon with `systemd-run --user --scope -p Delegate=yes p2prc serve`, or put `Delegate=yes` into its unit.";

const OLD =
  "This machine has control groups of version 1, which only root may make, so memory, CPU and processes of a sandbox have no limit: boot it with `systemd.unified_cgroup_hierarchy=1`, or run the daemon as root.";

export async function cgroupSources(): Promise<CgroupSources> {
  const [mountinfo, own] = await Promise.all(
    ["/proc/self/mountinfo", "/proc/self/cgroup"].map((file) => readFile(file, "utf8").catch(() => "")), // no Linux
  );
  return { mountinfo: mountinfo ?? "", own: own ?? "", root: process.getuid?.() === 0 };
}

export async function openCgroups(sources: CgroupSources): Promise<Cgroups> {
  const { v1, v2 } = mountedGroups(sources.mountinfo);
  try {
    if (v1.has("memory") || v1.has("pids")) return await openV1(v1);
    if (v2 !== undefined) return await (sources.root ? openTop(v2) : openDelegated(v2, sources));
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error; // a defect
  }
  return new NoCgroups([v1.size > 0 ? OLD : DELEGATION]);
}

async function openV1(mounts: ReadonlyMap<string, string>): Promise<Cgroups> {
  for (const mount of new Set(mounts.values())) {
    await mkdir(join(mount, "p2prc"), { recursive: true });
    await access(join(mount, "p2prc"), constants.W_OK);
  }
  const missing = controllers.filter((name) => !mounts.has(name));
  const problems = missing.map((name) => `This machine has no control group for "${name}".`);
  return new CgroupsV1(mounts, problems);
}

function openTop(mount: string): Promise<Cgroups> {
  return CgroupsV2.open(mount, join(mount, "p2prc.slice"));
}

/** What systemd has handed over to us: our own processes go into a leaf of it, sandboxes into another. */
async function openDelegated(mount: string, { own }: CgroupSources): Promise<Cgroups> {
  const path = /^0::(\/.*)$/mu.exec(own)?.[1] ?? "/";
  // A daemon that is started again from one that already moved aside is in the leaf.
  const handed = join(mount, path.replace(/\/p2prc-daemon$/u, ""));
  await access(join(handed, "cgroup.subtree_control"), constants.W_OK);
  const leaf = join(handed, "p2prc-daemon");
  await mkdir(leaf, { recursive: true });
  for (const pid of await pidsIn(handed)) await moveInto(leaf, pid);
  return await CgroupsV2.open(handed, join(handed, "p2prc.slice"));
}

/** proc(5), mountinfo: `… mount point options … - type source super-options`. */
export function mountedGroups(mountinfo: string): {
  readonly v1: ReadonlyMap<string, string>;
  readonly v2: string | undefined;
} {
  const v1 = new Map<string, string>();
  let v2: string | undefined;
  for (const line of mountinfo.split("\n")) {
    const [left = "", right = ""] = line.split(" - ");
    const point = (left.split(" ")[4] ?? "").replace(/\\([0-7]{3})/gu, (_, octal: string) =>
      String.fromCharCode(Number.parseInt(octal, 8)),
    );
    const [type, , options = ""] = right.split(" ");
    if (type === "cgroup2") v2 ??= point;
    if (type !== "cgroup") continue;
    for (const option of options.split(",")) if (KNOWN.has(option)) v1.set(option, point);
  }
  return { v1, v2 };
}

const KNOWN: ReadonlySet<string> = new Set([...controllers, "cpuacct"]);
