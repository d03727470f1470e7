import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseBoxName, parseGpuWish, parseImage } from "./words.ts";

describe("parseImage", () => {
  for (const image of [
    "debian",
    "debian:bookworm",
    "ghcr.io/a/b-c:1.2",
    "localhost:5000/x",
    `x@sha256:${"0".repeat(64)}`,
  ]) {
    test(`takes ${image}`, () => assert.equal(parseImage(image), image));
  }
  for (const image of ["", "-v", "../x", "a b", "a;b", "$(x)", "x\ny", "Debian", "x@sha256:00", "a".repeat(256)]) {
    test(`refuses ${JSON.stringify(image)}`, () => assert.throws(() => parseImage(image), { code: "bad-argument" }));
  }
});

describe("parseBoxName", () => {
  test("takes labels and refuses what an id looks like", () => {
    for (const name of ["a", "box", "my-box-2", "0", "a".repeat(32)]) assert.equal(parseBoxName(name), name);
    assert.throws(() => parseBoxName("abcdefghijklmnop"), { code: "bad-name" });
  });
});

describe("parseGpuWish", () => {
  for (const [text, wish] of [
    ["none", undefined],
    ["0", undefined],
    ["2", { count: 2 }],
    ["12G", { count: 1, memoryBytes: 12 * 1024 ** 3 }],
    ["RTX 4090", { count: 1, model: "RTX 4090" }],
  ] as const) {
    test(`takes ${text}`, () => assert.deepEqual(parseGpuWish(text), wish));
  }
  for (const text of ["", "65", "-x", "a\nb", "x".repeat(97)]) {
    test(`refuses ${JSON.stringify(text)}`, () => assert.throws(() => parseGpuWish(text), { code: "bad-argument" }));
  }
});
