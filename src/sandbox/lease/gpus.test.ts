import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ann, bigGrant, bob, SandboxWorld } from "../../../test/support/sandbox-world.ts";
import { defaultGrant } from "../../core/index.ts";
import type { GpuDevice } from "../runtime/runtime.ts";
import { chooseGpus } from "./gpu-choice.ts";
import { parseGpuDevices } from "./gpu-devices.ts";

const GIB = 1024 ** 3;
const gpu = (index: number, model: string, gib: number): GpuDevice => ({
  vendor: "nvidia",
  index,
  uuid: `GPU-${index}`,
  model,
  memoryBytes: gib * GIB,
});
const all = [gpu(0, "NVIDIA A100", 80), gpu(1, "NVIDIA GeForce RTX 4090", 24), gpu(2, "NVIDIA GeForce RTX 4090", 24)];
const none = new Set<string>();
const indexes = (gpus: readonly GpuDevice[]) => gpus.map(({ index }) => index);

describe("chooseGpus", () => {
  test("gives the smallest that fit", () => {
    assert.deepEqual(indexes(chooseGpus({ count: 1 }, { all, held: none })), [1]);
    assert.deepEqual(indexes(chooseGpus({ count: 1, memoryBytes: 40 * GIB }, { all, held: none })), [0]);
    assert.deepEqual(indexes(chooseGpus({ count: 2, model: "rtx 4090" }, { all, held: none })), [1, 2]);
  });

  test("says that there is none, none such, or none free", () => {
    assert.throws(() => chooseGpus({ count: 1 }, { all: [], held: none }), {
      code: "not-supported",
      message: "this node has no GPU",
    });
    assert.throws(() => chooseGpus({ count: 3, model: "RTX 4090" }, { all, held: none }), {
      code: "not-supported",
      message: /3 GPUs "RTX 4090" wanted, this node has NVIDIA A100 \(80GiB\)/,
    });
    assert.throws(() => chooseGpus({ count: 2, memoryBytes: 20 * GIB }, { all, held: new Set(["GPU-0", "GPU-1"]) }), {
      code: "busy",
      message: /1 of 3 such are free/,
    });
  });
});

describe("a GPU", () => {
  test("is held by one lease at a time, and free again after it", async () => {
    await using world = new SandboxWorld({ gpus: all.slice(0, 1) });
    world.grants.set(ann, { ...bigGrant, sandboxes: 3 });
    world.grants.set(bob, { ...defaultGrant, gpus: 1 });
    const { id, gpus } = await world.create(ann, { gpu: { count: 1 } });
    assert.deepEqual(indexes(gpus), [0]);
    assert.deepEqual(world.machine.get(id)?.spec.gpus, [all[0]]);
    await assert.rejects(world.create(bob, { gpu: { count: 1 } }), { code: "busy" });
    await world.sandboxes.remove(id, "test", world.signal);
    assert.equal((await world.create(bob, { gpu: { count: 1 } })).gpus.length, 1);
  });

  test("is refused where the grant has none, and on a node without one", async () => {
    await using world = new SandboxWorld({ gpus: all });
    await assert.rejects(world.create(ann, { gpu: { count: 1 } }), {
      code: "not-allowed",
      message: /1 GPUs in all, allowed are 0/,
    });
    await using bare = new SandboxWorld();
    bare.grants.set(ann, bigGrant);
    await assert.rejects(bare.create(ann, { gpu: { count: 1 } }), { code: "not-supported" });
  });
});

describe("parseGpuDevices", () => {
  const uuid = "GPU-00000000-1111-2222-3333-444444444444";

  test("reads what nvidia-smi tells, and leaves out what is no GPU", () => {
    const said = `0, ${uuid}, 24564, NVIDIA GeForce RTX 4090\n1, ${uuid}, [N/A], NVIDIA GB10\nNo devices were found\n`;
    assert.deepEqual(
      parseGpuDevices(said).map(({ index, model, memoryBytes }) => [index, model, memoryBytes]),
      [
        [0, "NVIDIA GeForce RTX 4090", 24_564 * 1024 ** 2],
        [1, "NVIDIA GB10", 0],
      ],
    );
    assert.deepEqual(parseGpuDevices(""), []);
  });
});
