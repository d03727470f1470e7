import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { foldReasons } from "./passed-over.ts";

describe("why nodes were passed over", () => {
  test("is one line for each reason, with the nodes it holds for", () => {
    const all = [
      { node: "attic", why: "does not lend" },
      { node: "barn", why: "has no GPU" },
      { node: "cellar", why: "does not lend" },
    ];
    assert.deepEqual(foldReasons(all), ["attic and cellar: does not lend", "barn: has no GPU"]);
    assert.deepEqual(foldReasons([]), []);
  });

  test("counts the names of many", () => {
    const all = Array.from({ length: 64 }, (_, index) => ({ node: `n${index}`, why: "does not lend" }));
    assert.deepEqual(foldReasons(all), ["n0, n1, n2, n3, n4 and 59 more: does not lend"]);
  });
});
