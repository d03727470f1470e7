import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { describe, test } from "node:test";
import { PassingBytes } from "./passing-bytes.ts";

const MIB = 1024 * 1024;

describe("bytes that pass", () => {
  test("have the young objects collected every 16 MiB", () => {
    let collected = 0;
    const passing = new PassingBytes(() => void collected++);
    for (let i = 0; i < 15; i++) passing.add(MIB);
    assert.equal(collected, 0);
    passing.add(MIB);
    assert.equal(collected, 1);
    for (let i = 0; i < 160; i++) passing.add(MIB);
    assert.equal(collected, 11);
  });

  test("leave the old part of the heap unmarked", () => {
    assert.ok(marked("passingBytes.add(16_384);") <= 2, "once, while the heap is new");
    assert.ok(marked("") >= 8, "the control: without a word of them V8 marks all of it again and again");
  });
});

/** The steps in which all of the heap was marked, two each time, while 512 MiB came in pieces. @param told what is done for each piece */
function marked(told: string): number {
  const module = JSON.stringify(import.meta.resolve("./passing-bytes.ts"));
  const script = `
    import { PerformanceObserver, constants } from "node:perf_hooks";
    import { passingBytes } from ${module};
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
