import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PassingBytes } from "./passing-bytes.ts";

const MIB = 1024 * 1024;

describe("bytes that pass", () => {
  test("give the heap room while they are many, and have it swept when they are over", () => {
    const lab = new Lab();
    lab.pass(15);
    assert.deepEqual(lab.did, []);
    lab.pass(200);
    assert.deepEqual(lab.did, ["grow 120"]);
    lab.elapse();
    assert.deepEqual(lab.did, ["grow 120", "grow 0", "sweep"]);
    lab.pass(16);
    assert.deepEqual(lab.did, ["grow 120", "grow 0", "sweep", "grow 120"]);
  });

  test("change nothing where few come in a long time", () => {
    const lab = new Lab();
    for (let i = 0; i < 20; i++) {
      lab.pass(10);
      lab.elapse();
    }
    assert.deepEqual(lab.did, []);
  });

  test("wait for one moment, however many pass", () => {
    const lab = new Lab();
    lab.pass(1_000);
    assert.equal(lab.waiting.size, 1);
  });
});

class Lab {
  readonly did: string[] = [];
  readonly waiting = new Set<() => void>();
  readonly #passing = new PassingBytes({
    mayGrow: (percent) => void this.did.push(`grow ${percent}`),
    sweep: () => void this.did.push("sweep"),
    later: (_ms, work) => {
      this.waiting.add(work);
      return () => this.waiting.delete(work);
    },
  });

  pass(mib: number): void {
    for (let i = 0; i < mib; i++) this.#passing.add(MIB);
  }

  /** Ten seconds go by. */
  elapse(): void {
    const due = [...this.waiting];
    this.waiting.clear();
    for (const work of due) work();
  }
}
