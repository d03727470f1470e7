import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { compare, type Memory, parseTranscript, splitWords } from "./transcript.ts";

describe("a transcript", () => {
  test("has commands with what they print", () => {
    const typed = parseTranscript("Words.\n\nattic$ p2prc ls\nNAME\nbarn\n\n$ p2prc stop &\n? 5\n$ p2prc status\n");
    assert.deepEqual(typed, [
      { machine: "attic", command: "p2prc ls", expected: ["NAME", "barn"], exit: 0, line: 3 },
      { machine: "here", command: "p2prc stop &", expected: [], exit: 5, line: 7 },
      { machine: "here", command: "p2prc status", expected: [], exit: 0, line: 9 },
    ]);
  });

  test("knows what may differ, and what must not", () => {
    const memory: Memory = new Map();
    assert.equal(compare(["took <ms> on <port>"], ["took 1.2 ms  on 8088"], memory), undefined);
    assert.equal(memory.get("port"), "8088");
    assert.match(compare(["on <port>"], ["on 9000"], memory) ?? "", /expected:\n {2}on 8088\nprinted:\n {2}on 9000/);
    assert.equal(compare(["on <port2>"], ["on 9000"], memory), undefined);
  });

  test("notices lines that are missing, wrong or too many", () => {
    const memory: Memory = new Map();
    assert.match(compare(["a", "b"], ["a"], memory) ?? "", /^missing/);
    assert.match(compare(["a"], ["a", "b"], memory) ?? "", /^not expected/);
    assert.match(compare(["a"], ["b"], memory) ?? "", /^expected/);
    assert.match(compare(["a."], ["ab"], memory) ?? "", /^expected/);
    assert.equal(compare(["...", "c"], ["a", "b", "c"], memory), undefined);
    assert.equal(compare(["a", "..."], ["a", "b", "c"], memory), undefined);
    assert.match(compare(["...", "d"], ["a"], memory) ?? "", /^after/);
  });

  test("refuses a placeholder that is none", () => {
    assert.throws(() => compare(["<moon>"], ["full"], new Map()));
  });

  test("splits words as a shell does", () => {
    assert.deepEqual(splitWords(`p2prc join 'p2prc://x?a=1' --name "my attic"`), [
      "p2prc",
      "join",
      "p2prc://x?a=1",
      "--name",
      "my attic",
    ]);
  });
});
