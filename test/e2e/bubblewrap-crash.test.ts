/** A daemon that is killed between any two steps leaves what the next one can clear away; and many at once leave nothing. */

import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { SandboxId } from "../../src/sandbox/runtime/sandbox-id.ts";
import { sandboxSpec } from "../contract/runtime.ts";
import { bubblewrapSkip, BubblewrapWorld } from "../support/bubblewrap-world.ts";
import { Child } from "../support/child.ts";

const { signal } = new AbortController();
const options = { skip: bubblewrapSkip(), timeout: 120_000 };
const support = new URL("../support/bubblewrap-world.ts", import.meta.url).href;

describe("a daemon that is killed while it makes a sandbox", options, () => {
  test("leaves nothing that the next one cannot remove, whenever it happens", async () => {
    await using world = await BubblewrapWorld.open();
    const traces = new Traces(world);
    const states = new Set<string>();
    // Up to when one is whole, which takes longer on a busy machine.
    for (let afterMs = 0; !states.has("running") && afterMs < 2_000; afterMs += 12) {
      const child = await Child.start(
        `import { BubblewrapWorld } from ${JSON.stringify(support)};
        const world = await BubblewrapWorld.open({ home: ${JSON.stringify(world.home)} });
        console.log("ready");
        await world.make();
        await new Promise(() => setInterval(() => {}, 1000));`,
      );
      await child.line("ready");
      await child.liveFor(afterMs);
      await child.kill();
      for (const { id, state } of await world.runtime.list(signal)) {
        states.add(state);
        await traces.note(id);
        await world.runtime.remove(id, signal);
      }
    }
    assert.deepEqual([...states].sort(), ["running", "stopped"], "some were whole, some were not");
    assert.deepEqual(await traces.left(), NOTHING);
  });
});

describe("many sandboxes", options, () => {
  test("made all at once are all there, and gone when they are removed", async () => {
    await using world = await BubblewrapWorld.open();
    const traces = new Traces(world);
    const specs = Array.from({ length: 20 }, () => sandboxSpec({ memoryBytes: 128 * 1024 ** 2 }));
    await Promise.all(specs.map((spec) => world.runtime.create(spec, () => undefined, signal)));
    const found = await world.runtime.list(signal);
    assert.equal(found.filter(({ state }) => state === "running").length, specs.length);
    for (const { id } of specs) await traces.note(id);
    if (process.getuid?.() === 0) assert.equal(traces.users, specs.length, "each has users of its own");
    await Promise.all(specs.map(({ id }) => world.runtime.remove(id, signal)));
    assert.deepEqual(await traces.left(), NOTHING);
  });

  test("made and removed one after another leave no descriptor, process, folder or control group", async () => {
    await using world = await BubblewrapWorld.open();
    const traces = new Traces(world);
    await world.runtime.remove(await world.make(), signal);
    const before = await openDescriptors();
    for (let turn = 0; turn < 10; turn++) {
      const id = await world.make();
      await traces.note(id);
      await world.runtime.remove(id, signal);
    }
    assert.deepEqual(await traces.left(), NOTHING);
    assert.ok((await openDescriptors()) <= before + 2, "descriptors are left open");
  });
});

const NOTHING = { folders: [], processes: [], groups: [] };

/** What this machine still has of sandboxes that were removed. Others may run on it at the same time. */
class Traces {
  readonly #world: BubblewrapWorld;
  readonly #ids = new Set<string>();
  readonly #ranges = new Set<number>();

  constructor(world: BubblewrapWorld) {
    this.#world = world;
  }

  /** How many different ones. */
  get users(): number {
    return this.#ranges.size;
  }

  /** To be called while it is there. */
  async note(id: SandboxId): Promise<void> {
    this.#ids.add(id);
    // Killed before it was written down: then nothing was ever started.
    const record = await this.#world.record(id).catch(() => undefined);
    if (record !== undefined) this.#ranges.add(record.users.outer);
  }

  async left(): Promise<typeof NOTHING> {
    return await this.#world.settled(async () => {
      const [folders, processes, groups] = await Promise.all([
        readdir(join(this.#world.home, "sandboxes")),
        this.#processes(),
        readdir("/sys/fs/cgroup/pids/p2prc").catch(() => []), // no groups of version 1
      ]);
      return { folders, processes, groups: groups.filter((name) => this.#ids.has(name)) } as typeof NOTHING;
    }, NOTHING);
  }

  /** Of users that only these had; an ordinary user's are known by what is mounted in them. */
  async #processes(): Promise<readonly string[]> {
    const pids = (await readdir("/proc")).filter((name) => /^\d+$/u.test(name));
    const found = await Promise.all(
      pids.map(async (pid) => {
        const [status = "", mounts = ""] = await Promise.all(
          ["status", "mountinfo"].map((file) => readFile(`/proc/${pid}/${file}`, "utf8").catch(() => "")), // gone, or not ours
        );
        const uid = Number(/^Uid:\s*(\d+)/mu.exec(status)?.[1]);
        const ofRange = [...this.#ranges].some((base) => base > 65_536 && uid >= base && uid < base + 65_536);
        return ofRange || mounts.includes(`${this.#world.home}/sandboxes`) ? [pid] : [];
      }),
    );
    return found.flat();
  }
}

async function openDescriptors(): Promise<number> {
  return (await readdir("/proc/self/fd")).length;
}
