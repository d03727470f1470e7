import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Counts, formatProgress } from "./show.ts";

describe("a job's line of progress", () => {
  test("tells how far it is, who did what, and how long it will take", () => {
    assert.equal(
      formatProgress(running(3), 57_000, 100),
      "█████████░░░░░ 178/250   box1 60  box2 59  box3 59   2 retried   3.1/s   24 s left",
    );
  });

  test("leaves out what it can on a narrow screen, and never its end", () => {
    const shown = [80, 60, 40].map((columns) => formatProgress(running(3), 57_000, columns));
    assert.deepEqual(shown, [
      "█████████░░░░░ 178/250   3 sandboxes   2 retried   3.1/s   24 s left",
      "█████████░░░░░ 178/250   2 retried   3.1/s   24 s left",
      "178/250   2 retried   3.1/s   24 s left",
    ]);
    for (const line of shown) assert.ok(line.length < 80, line);
  });

  test("counts sandboxes where they are many", () => {
    assert.match(formatProgress(running(6), 57_000, 200), /178\/250 {3}6 sandboxes {3}2 retried/);
  });
});

function running(count: number): Counts {
  const none = { node: "attic", slots: 1, failed: 0, lost: 0, busyMs: 0, bytesIn: 0, bytesOut: 0 };
  const boxes = Array.from({ length: count }, (_, at) => {
    const name = `box${at + 1}`;
    return [name, { ...none, name, done: at === 0 ? 60 : 59 }] as const;
  });
  return { all: 250, before: 0, doneNow: 178, failedCount: 0, retried: 2, startedAt: 0, boxes: new Map(boxes) };
}
