import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { CgroupLimits } from "./cgroup.ts";
import { mountedGroups, openCgroups } from "./open-cgroups.ts";

const limits: CgroupLimits = { cpus: 1.5, memoryBytes: 256 * 1024 ** 2, pids: 64 };

describe("openCgroups, version 2", () => {
  test("makes a slice of its own as root, and hands controllers down to it", async () => {
    await using tree = await Tree.open();
    const groups = await openCgroups({ ...tree.sources, root: true });
    assert.deepEqual([...groups.holds].sort(), ["cpu", "freezer", "memory", "pids"]);
    assert.deepEqual(groups.problems, []);
    const group = groups.plan("box");
    assert.equal(group.folders.memory, join(tree.root, "p2prc.slice", "box"));
  });

  test("writes the limits, without swap", async () => {
    await using tree = await Tree.open();
    const groups = await openCgroups({ ...tree.sources, root: true });
    await groups.make(groups.plan("box"), limits);
    const read = (knob: string) => tree.read(`p2prc.slice/box/${knob}`);
    assert.equal(await read("cpu.max"), "150000 100000");
    assert.equal(await read("memory.max"), String(limits.memoryBytes));
    assert.equal(await read("memory.swap.max"), "0");
    assert.equal(await read("pids.max"), "64");
  });

  test("freezes, counts and kills", async () => {
    await using tree = await Tree.open();
    const groups = await openCgroups({ ...tree.sources, root: true });
    const group = groups.plan("box");
    await groups.make(group, limits);
    await groups.freeze(group, true);
    assert.deepEqual([await groups.isFrozen(group), await tree.read("p2prc.slice/box/cgroup.freeze")], [true, "1"]);
    await tree.write("p2prc.slice/box/cpu.stat", "usage_usec 2500000\nuser_usec 1\n");
    await tree.write("p2prc.slice/box/memory.current", "4096\n");
    await tree.write("p2prc.slice/box/pids.current", "3\n");
    await tree.write("p2prc.slice/box/memory.events", "low 0\noom 2\noom_kill 1\n");
    assert.deepEqual(await groups.usage(group), { cpuMs: 2_500, memoryBytes: 4_096, pids: 3, oomKills: 1 });
    await groups.kill(group);
    assert.equal(await tree.read("p2prc.slice/box/cgroup.kill"), "1");
  });

  test("says that one is not gone while something is in it, and is content when it is", async () => {
    await using tree = await Tree.open();
    const groups = await openCgroups({ ...tree.sources, root: true });
    const group = groups.plan("box");
    await groups.make(group, limits);
    assert.equal(await groups.remove(group), false);
    await rm(join(tree.root, "p2prc.slice/box"), { recursive: true });
    assert.equal(await groups.remove(group), true);
    assert.equal(await groups.usage(group), undefined);
    await groups.kill(group);
  });

  test("takes what systemd has handed over, and puts the daemon into a leaf of it", async () => {
    await using tree = await Tree.open("user.slice/p2prc.scope");
    await tree.write("user.slice/p2prc.scope/cgroup.procs", "4242\n");
    const groups = await openCgroups({ ...tree.sources, own: "0::/user.slice/p2prc.scope\n", root: false });
    assert.equal(groups.plan("box").folders.pids, join(tree.root, "user.slice/p2prc.scope/p2prc.slice/box"));
    assert.equal(await tree.read("user.slice/p2prc.scope/p2prc-daemon/cgroup.procs"), "4242");
  });

  test("finds its place again when the daemon starts in that leaf", async () => {
    await using tree = await Tree.open("user.slice/p2prc.scope");
    const own = "0::/user.slice/p2prc.scope/p2prc-daemon\n";
    const groups = await openCgroups({ ...tree.sources, own, root: false });
    assert.equal(groups.plan("box").folders.pids, join(tree.root, "user.slice/p2prc.scope/p2prc.slice/box"));
  });

  test("says what to do where nothing was handed over", async () => {
    await using tree = await Tree.open();
    const groups = await openCgroups({ ...tree.sources, own: "0::/not/there\n", root: false });
    assert.equal(groups.holds.size, 0);
    assert.match(groups.problems.join(" "), /Delegate=yes/);
  });
});

describe("openCgroups, version 1", () => {
  test("limits each controller in its own tree", async () => {
    await using tree = await Tree.open();
    const names = ["cpu", "memory", "pids", "freezer"];
    for (const name of names) await mkdir(join(tree.root, name));
    const mountinfo = names.map((name) => `1 1 0:1 / ${tree.root}/${name} rw - cgroup cgroup rw,${name}`).join("\n");
    const groups = await openCgroups({ mountinfo, own: "", root: true });
    await groups.make(groups.plan("box"), limits);
    assert.equal(await tree.read("cpu/p2prc/box/cpu.cfs_quota_us"), "150000");
    assert.equal(await tree.read("memory/p2prc/box/memory.limit_in_bytes"), String(limits.memoryBytes));
    assert.equal(await tree.read("pids/p2prc/box/pids.max"), "64");
  });
});

test("mountedGroups reads paths with spaces, and both versions side by side", () => {
  const text = "1 1 0:1 / /a\\040b/memory rw - cgroup cgroup rw,memory\n2 1 0:2 / /c rw - cgroup2 cgroup2 rw\n";
  const { v1, v2 } = mountedGroups(text);
  assert.deepEqual([v1.get("memory"), v2], ["/a b/memory", "/c"]);
});

/** A tree of plain files: what is written is read back, and nothing happens by itself. */
class Tree implements AsyncDisposable {
  readonly root: string;

  static async open(path = ""): Promise<Tree> {
    const tree = new Tree(await mkdtemp(join(tmpdir(), "p2prc-cgroup-")));
    for (const folder of ["", path, join(path, "p2prc.slice")]) await tree.#fill(folder);
    await tree.#fill("p2prc.slice");
    return tree;
  }

  private constructor(root: string) {
    this.root = root;
  }

  get sources() {
    return { mountinfo: `1 1 0:1 / ${this.root} rw - cgroup2 cgroup2 rw`, own: "" };
  }

  async read(path: string): Promise<string> {
    return (await readFile(join(this.root, path), "utf8")).trim();
  }

  async write(path: string, text: string): Promise<void> {
    await writeFile(join(this.root, path), text);
  }

  async #fill(folder: string): Promise<void> {
    await mkdir(join(this.root, folder), { recursive: true });
    await this.write(join(folder, "cgroup.controllers"), "cpuset cpu io memory pids\n");
    await this.write(join(folder, "cgroup.subtree_control"), "cpu memory pids\n");
    await this.write(join(folder, "cgroup.procs"), "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}
