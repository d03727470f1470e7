import assert from "node:assert/strict";
import { tmpdir } from "node:os";
import { describe, test } from "node:test";
import { Value } from "typebox/value";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { silentLog } from "../base/index.ts";
import { Resources } from "../core/index.ts";
import { Specs } from "./contract.ts";
import type { FoundGpu } from "./nvidia.ts";
import { SpecSheet } from "./spec-sheet.ts";
import type { ToolOutcome } from "./tool.ts";

const never = new AbortController().signal;

describe("SpecSheet", () => {
  test("knows cores and memory before anything was read", () => {
    const lab = new Lab("");
    assert.ok(lab.sheet.latest().cpu.cores >= 1);
    assert.ok(lab.sheet.latest().memory.totalBytes > 0);
    assert.equal(lab.runs, 0);
  });

  test("reads disk and GPUs, and tells once that they changed", async () => {
    const lab = new Lab("NVIDIA GeForce RTX 4090, 24564\n");
    await lab.sheet.read(never);
    await lab.sheet.read(never);
    assert.equal(lab.changes.length, 1);
    assert.deepEqual(lab.changes[0]?.gpus, [{ model: "RTX 4090", memoryBytes: 24_564 * 1_048_576 }]);
    assert.ok(lab.sheet.latest().disk.totalBytes > 0);
    assert.ok(Value.Check(Specs, lab.sheet.latest()));
  });

  test("gives a GPU without memory of its own the machine's", async () => {
    const lab = new Lab("NVIDIA GB10, [N/A]\n");
    await lab.sheet.read(never);
    const { gpus, memory } = lab.sheet.latest();
    assert.equal(gpus[0]?.memoryBytes, memory.totalBytes);
  });

  test("fits a record, however many GPUs there are and whatever they are called", async () => {
    const lab = new Lab(`${`NVIDIA ${"Ü\u202e".repeat(60)}, 81920\n`.repeat(20)}`);
    await lab.sheet.read(never);
    const resources = lab.sheet.toResources();
    assert.ok(Value.Check(Resources, resources));
    assert.ok(Buffer.byteLength(JSON.stringify(resources.gpus)) <= 480);
    assert.ok(resources.gpus.length >= 1);
    assert.equal(lab.sheet.latest().gpus.length, 20);
  });

  test("asks the system where the vendors' tools find nothing", async () => {
    const lab = new Lab("", [{ vendor: "other", model: "Apple M3 Max", memoryBytes: undefined }]);
    await lab.sheet.read(never);
    assert.equal(lab.sheet.latest().gpus[0]?.model, "Apple M3 Max");
  });

  test("does without a system that does not answer", async () => {
    const lab = new Lab("", () => new Promise(() => undefined));
    const reading = lab.sheet.read(never);
    await lab.clock.advance(20_000);
    await reading;
    assert.deepEqual(lab.sheet.latest().gpus, []);
  });

  test("reads again every 6 hours until it is aborted", async () => {
    const lab = new Lab("");
    const leave = new AbortController();
    const running = assert.rejects(lab.sheet.run(leave.signal), { name: "AbortError" });
    await lab.settle();
    assert.equal(lab.runs, 2);
    await lab.clock.advance(6 * 3_600_000);
    await lab.settle();
    assert.equal(lab.runs, 4);
    leave.abort();
    await running;
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly changes: Resources[] = [];
  readonly sheet: SpecSheet;
  runs = 0;

  constructor(nvidia: string, other: readonly FoundGpu[] | (() => Promise<readonly FoundGpu[]>) = []) {
    const run = (program: string): Promise<ToolOutcome> => {
      this.runs++;
      return Promise.resolve(
        program === "nvidia-smi" ? { kind: "ran", exit: 0, stdout: nvidia, stderr: "" } : { kind: "missing" },
      );
    };
    const findOther = typeof other === "function" ? other : () => Promise.resolve(other);
    this.sheet = new SpecSheet({ clock: this.clock, log: silentLog, run, findOther, home: tmpdir(), sysfs: undefined });
    this.sheet.changes.on((resources) => this.changes.push(resources));
  }

  /** A real disk is asked, so real time passes: a little. */
  async settle(): Promise<void> {
    for (let i = 0; i < 20; i++) await this.clock.advance(0);
  }
}
