import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import type { NodeId } from "../core/index.ts";
import { ChangeLog } from "./change-log.ts";
import { newRow, type Row } from "./row.ts";

describe("ChangeLog", () => {
  test("gives everything to somebody new, oldest change first", () => {
    const lab = new Lab();
    lab.touch(1, 2, 3, 1);
    assert.deepEqual(lab.page().ids, [2, 3, 1]);
  });

  test("gives only what changed since", () => {
    const lab = new Lab();
    lab.touch(1, 2);
    const { cursor } = lab.page();
    lab.touch(3, 1);
    assert.deepEqual(lab.page(cursor).ids, [3, 1]);
    assert.deepEqual(lab.page(lab.page(cursor).cursor).ids, []);
  });

  test("goes on where a page ended", () => {
    const lab = new Lab();
    lab.touch(1, 2, 3, 4, 5);
    const first = lab.page(undefined, 2);
    const second = lab.page(first.cursor, 2);
    const third = lab.page(second.cursor, 2);
    assert.deepEqual([first.ids, second.ids, third.ids], [[1, 2], [3, 4], [5]]);
    assert.deepEqual([first.more, second.more, third.more], [true, true, false]);
  });

  test("ends a page where it weighs enough", () => {
    const lab = new Lab();
    lab.touch(1, 2, 3);
    const page = lab.page(undefined, 9, 25);
    assert.deepEqual([page.ids, page.more], [[1, 2], true]);
  });

  test("starts over for a cursor of another life", () => {
    const lab = new Lab();
    lab.touch(1, 2);
    assert.deepEqual(lab.page(`${"f".repeat(16)}.2`).ids, [1, 2]);
  });

  test("takes a cursor from the future for now", () => {
    const lab = new Lab();
    lab.touch(1, 2);
    assert.deepEqual(lab.page(`${EPOCH}.999`).ids, []);
  });

  test("leaves out what was withdrawn", () => {
    const lab = new Lab();
    lab.touch(1, 2);
    lab.log.withdraw(lab.row(1));
    assert.deepEqual(lab.page().ids, [2]);
  });

  test("holds at most twice what is live, and 64", () => {
    const lab = new Lab();
    for (let i = 0; i < 5_000; i++) lab.touch(i % 10);
    assert.ok(lab.log.size <= 84, String(lab.log.size));
    assert.equal(lab.page().ids.length, 10);
  });

  test("misses nothing, however changes and questions are mixed", () => {
    const step = fc.oneof(fc.nat(9), fc.constant("ask" as const), fc.integer({ min: -10, max: -1 }));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 3 }), (steps, limit) => {
        const lab = new Lab();
        const seen = new Map<number, number>();
        let cursor: string | undefined;
        const ask = () => {
          const page = lab.page(cursor, limit);
          for (const row of page.rows) seen.set(Number(row.id), row.version);
          cursor = page.cursor;
          return page.more;
        };
        for (const action of steps) {
          if (action === "ask") ask();
          else if (action < 0) lab.log.withdraw(lab.row(-action - 1));
          else lab.touch(action);
        }
        while (ask());
        const live = Array.from({ length: 10 }, (_, i) => lab.row(i)).filter((row) => row.version > 0);
        return live.every((row) => seen.get(Number(row.id)) === row.version);
      }),
    );
  });
});

const EPOCH = "0123456789abcdef";

/** Rows 0 to 9, each of which weighs 10. */
class Lab {
  readonly log = new ChangeLog(EPOCH, "version");
  readonly #rows = Array.from({ length: 10 }, (_, i) => newRow(String(i) as NodeId, { root: "", order: 0 }));

  row(number: number): Row {
    return this.#rows[number] ?? assert.fail();
  }

  touch(...numbers: readonly number[]): void {
    for (const number of numbers) this.log.touch(this.row(number));
  }

  page(since?: string, limit = 100, maxBytes = 1_000) {
    const page = this.log.page({ since, limit, maxBytes, skip: () => false, weigh: () => 10 });
    return { ...page, ids: page.rows.map((row) => Number(row.id)) };
  }
}
