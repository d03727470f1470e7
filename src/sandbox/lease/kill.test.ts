import assert from "node:assert/strict";
import { mkdtempDisposable } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { MortalRuntime } from "../../../test/support/mortal-runtime.ts";
import { ann, SandboxWorld } from "../../../test/support/sandbox-world.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { isPaused } from "./lease.ts";

const MINUTE = 60_000;

describe("a daemon that is killed at any step", () => {
  const stories: Readonly<Record<string, (world: SandboxWorld, id: SandboxId) => Promise<unknown>>> = {
    "of making a sandbox": async (world, id) => await world.create(ann, { id, lifetimeMs: 5 * MINUTE }),
    "of freezing one": async (world, id) => {
      await world.create(ann, { id, lifetimeMs: 5 * MINUTE });
      await world.sandboxes.hold(id, "owner", "the owner paused it");
    },
    "of letting one go on": async (world, id) => {
      await world.create(ann, { id, lifetimeMs: 5 * MINUTE });
      await world.sandboxes.hold(id, "owner", "the owner paused it");
      await world.sandboxes.release(id, ["owner"]);
    },
    "of removing one": async (world, id) => {
      await world.create(ann, { id, lifetimeMs: 5 * MINUTE });
      await world.sandboxes.remove(id, "test", world.signal);
    },
    "of stopping everything": async (world, id) => {
      await world.create(ann, { id, lifetimeMs: 5 * MINUTE });
      await world.sandboxes.panic(true);
      await world.sandboxes.panic(false);
    },
  };

  for (const [what, story] of Object.entries(stories)) {
    test(`${what} leaves what the next one understands`, async () => {
      await using folder = await mkdtempDisposable(join(tmpdir(), "p2prc-lease-kill-"));
      const steps = await countSteps(story);
      assert.ok(steps >= 4);
      for (let dieAt = 1; dieAt <= steps; dieAt++) await killAt(dieAt, story, join(folder.path, `state-${dieAt}`));
    });
  }
});

type Story = (world: SandboxWorld, id: SandboxId) => Promise<unknown>;

async function countSteps(story: Story): Promise<number> {
  let mortal: MortalRuntime | undefined;
  await using world = new SandboxWorld({
    wrap: (runtime) => {
      mortal = new MortalRuntime(runtime, Number.POSITIVE_INFINITY, () => undefined);
      return mortal.runtime;
    },
  });
  await story(world, world.id());
  return mortal?.steps ?? 0;
}

async function killAt(dieAt: number, story: Story, path: string): Promise<void> {
  const { promise: dead, resolve: died } = Promise.withResolvers<void>();
  const world: SandboxWorld = new SandboxWorld({
    wrap: (runtime) =>
      new MortalRuntime(runtime, dieAt, () => {
        world.kill(path);
        died();
      }).runtime,
  });
  const id = world.id();
  const told = story(world, id).then(
    () => "done",
    () => "failed",
  );
  await Promise.race([dead, told]);
  world.restart();
  await world.clock.advance(35_000);

  agree(world, `killed at step ${dieAt}`);
  if (world.book.endedGuest(id) === undefined) {
    // Whoever asked and heard nothing asks again.
    const again = await world.create(ann, { id, lifetimeMs: 5 * MINUTE });
    assert.equal(again.id, id);
    assert.equal(world.machine.size, 1);
  }
  await world.clock.advance(6 * MINUTE);
  assert.deepEqual([world.machine.size, world.book.size], [0, 0], `ended after step ${dieAt}`);
  await world[Symbol.asyncDispose]();
}

/** What is written and what is there say the same, and nothing is half done. */
function agree({ book, machine }: SandboxWorld, when: string): void {
  assert.deepEqual(new Set(machine.keys()), new Set(book.all.map(({ id }) => id)), when);
  for (const lease of book.all) {
    assert.equal(lease.state, "running", when);
    assert.equal(lease.unsettled, false, when);
    assert.equal(machine.get(lease.id)?.state === "paused", isPaused(lease), when);
  }
}
