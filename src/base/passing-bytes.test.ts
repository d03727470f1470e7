import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { PassingBytes } from "./passing-bytes.ts";

const MIB = 1024 * 1024;

describe("bytes that pass", () => {
  test("have the young objects collected when they hold 16 MiB more than after the last time", () => {
    const lab = new Lab();
    lab.pass(16);
    assert.equal(lab.collected, 0);
    lab.pass(4);
    assert.equal(lab.collected, 1);
    lab.pass(160);
    assert.equal(lab.collected, 11);
  });

  test("are left alone where V8 collects by itself", () => {
    const lab = new Lab();
    for (let i = 0; i < 100; i++) {
      lab.pass(12);
      lab.held = 5 * MIB;
    }
    assert.equal(lab.collected, 0);
  });

  test("are not collected again and again for what lives on", () => {
    const lab = new Lab({ living: 500 * MIB });
    lab.pass(200);
    assert.ok(lab.collected <= 12, `${lab.collected}`);
  });

  test("leave the old part of the heap unmarked", () => {
    assert.equal(marked("passingBytes.add(16_384);"), 0);
    assert.ok(marked("") >= 8, "the control: without a word of them V8 marks all of it again and again");
  });
});

class Lab {
  collected = 0;
  held: number;
  readonly #passing: PassingBytes;

  constructor({ living = 0 } = {}) {
    this.held = living;
    const collect = () => {
      this.collected++;
      this.held = living;
    };
    this.#passing = new PassingBytes({ held: () => this.held, collect });
  }

  pass(mib: number): void {
    for (let i = 0; i < mib; i++) {
      this.held += MIB;
      this.#passing.add(MIB);
    }
  }
}

/** The steps in which all of the heap was marked, two each time, while 512 MiB came in pieces. @param told what is done for each piece */
function marked(told: string): number {
  const module = JSON.stringify(import.meta.resolve("./passing-bytes.ts"));
  const heap = JSON.stringify(import.meta.resolve("./small-heap.ts"));
  const script = `
    import { PerformanceObserver, constants } from "node:perf_hooks";
    import { passingBytes } from ${module};
    import { sweepHeap } from ${heap};
    globalThis.living = Array.from({ length: 3e5 }, (_, i) => ({ i, text: [i] }));
    sweepHeap();
    let marked = 0;
    const seen = (list) => list.getEntries().forEach((each) => {
      if (each.detail.kind !== constants.NODE_PERFORMANCE_GC_MINOR) marked++;
    });
    new PerformanceObserver(seen).observe({ entryTypes: ["gc"] });
    for (let mib = 0; mib < 512; mib++) {
      for (let i = 0; i < 64; i++) { new ArrayBuffer(16_384); ${told} }
      await new Promise((resolve) => setImmediate(resolve));
    }
    console.log(marked);`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8" }));
}
