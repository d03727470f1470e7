import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { byRank, type Rankable, rank } from "./rank.ts";

const near: Rankable = { joined: true, state: "verified", rttMs: 5, jitterMs: 1, silentMs: 0 };
const score = (node: Partial<Rankable>) => rank({ ...near, ...node }).score;

describe("rank", () => {
  test("puts joined nodes before all strangers", () => {
    assert.ok(score({ rttMs: 900, state: "suspect", silentMs: 1e9 }) > score({ joined: false, rttMs: 0.1 }));
  });

  test("puts nodes that answer before nodes that do not", () => {
    assert.ok(score({ rttMs: 900 }) > score({ rttMs: 1, state: "suspect" }));
  });

  test("puts the nearer node first", () => assert.ok(score({ rttMs: 20 }) > score({ rttMs: 40, jitterMs: 0 })));

  test("puts a node that was measured before one that was not", () => {
    assert.ok(score({ rttMs: 5_000, jitterMs: 5_000 }) > score({ rttMs: undefined, jitterMs: undefined }) - 2);
    assert.ok(score({ rttMs: 900 }) > score({ rttMs: undefined }));
  });

  test("lets speed decide between nodes about equally near, and not between others", () => {
    const fast = { downBytesPerSecond: 100e6, upBytesPerSecond: 100e6 };
    assert.ok(score({ rttMs: 21, ...fast }) > score({ rttMs: 20 }));
    assert.ok(score({ rttMs: 40, ...fast }) < score({ rttMs: 20 }));
  });

  test("puts what does not fit behind what does", () => {
    assert.ok(score({ fits: true, rttMs: 900 }) > score({ fits: false }));
  });

  test("shows parts that add up to the score, whatever is measured", () => {
    const maybe = (most: number) => fc.option(fc.double({ min: 0, max: most, noNaN: true }), { nil: undefined });
    const nodes = fc.record({
      joined: fc.boolean(),
      state: fc.constantFrom("heard", "verified", "trying", "suspect"),
      rttMs: maybe(1e6),
      jitterMs: maybe(1e6),
      downBytesPerSecond: maybe(1e12),
      upBytesPerSecond: maybe(1e12),
      silentMs: maybe(1e12),
    });
    fc.assert(
      fc.property(nodes, (node) => {
        const { score: total, parts } = rank(node as Rankable);
        return Number.isFinite(total) && Math.abs(parts.reduce((sum, part) => sum + part.points, 0) - total) < 0.01;
      }),
    );
  });

  test("says why in words", () => {
    assert.deepEqual(
      rank(near).parts.map(({ why }) => why),
      ["is mine or a friend's", "answers", "round trip 5.0 ms", "jitter 1.0 ms", "was not measured", "seen 0 s ago"],
    );
  });

  test("orders equals by id, so that a list does not jump", () => {
    const same = rank(near);
    assert.deepEqual(
      [
        { id: "b", rank: same },
        { id: "a", rank: same },
      ]
        .sort(byRank)
        .map(({ id }) => id),
      ["a", "b"],
    );
  });
});
