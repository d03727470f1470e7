import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import { Village } from "../../test/support/village.ts";

const never = new AbortController().signal;

describe("A visit", () => {
  test("proves a node, learns what it knows and how far it is", async () => {
    const { village, me, attic } = lab();
    attic.knows(village.add(3));
    me.hear(attic);
    const visit = await village.until(me.visitor.visit(attic.id, {}, never), 1_000);
    const row = me.table.get(attic.id);
    assert.deepEqual([visit.kind, row?.state, row?.path, row?.measures?.rttMs], ["answered", "verified", "tcp4", 30]);
    assert.equal(me.table.rows.size, 2);
  });

  test("of a silent node ends within ten seconds", async () => {
    const { village, me, attic } = lab();
    me.hear(attic);
    attic.fate = "silent";
    const visit = await village.until(me.visitor.visit(attic.id, {}, never), 10_000);
    assert.deepEqual(visit, { kind: "failed", why: "timed-out" });
  });

  test("of a node that accepts and never answers ends within five seconds more", async () => {
    const { village, me, attic } = lab();
    me.hear(attic);
    attic.fate = "mute";
    const visit = await village.until(me.visitor.visit(attic.id, {}, never), 6_000);
    assert.equal(visit.kind, "mute");
    assert.equal(me.table.get(attic.id)?.state, "verified");
  });

  test("rests when the address was tried a moment ago", async () => {
    const { village, me, attic } = lab();
    me.hear(attic);
    attic.fate = "refuses";
    await village.until(me.visitor.visit(attic.id, {}, never), 1_000);
    assert.deepEqual(await me.visitor.visit(attic.id, {}, never), { kind: "resting" });
    assert.equal(me.dialled.length, 1);
  });

  test("of a friend does not rest", async () => {
    const { village, me, attic } = lab();
    me.hear(attic).befriends(attic);
    attic.fate = "refuses";
    for (let i = 0; i < 5; i++) await village.until(me.visitor.visit(attic.id, {}, never), 1_000);
    assert.equal(me.dialled.length, 5);
  });

  test("asks nothing of a node that sent junk", async () => {
    const { village, me, attic } = lab();
    me.hear(attic);
    attic.reply = () => ({
      records: Array(3).fill({ body: "{", signature: "x" }),
      cursor: `${"0".repeat(16)}.0`,
      more: false,
    });
    await village.until(me.visitor.visit(attic.id, {}, never), 1_000);
    await village.until(me.visitor.visit(attic.id, {}, never), 1_000);
    assert.equal(me.questions.length, 1);
  });

  test("asks for pages until there is no more", async () => {
    const { village, me, attic } = lab();
    attic.knows(...Array.from({ length: 600 }, (_, i) => village.add(i + 10)));
    me.hear(attic);
    const found: number[] = [];
    const onFound = (ids: readonly string[]) => void found.push(ids.length);
    await village.until(me.visitor.visit(attic.id, { maxPages: 40, onFound }, never), 1_000);
    assert.equal(found.length, 3);
  });

  test("ends when it is aborted, and leaves nothing behind", async () => {
    const { village, me, attic } = lab();
    me.hear(attic);
    attic.fate = "silent";
    const aborter = new AbortController();
    const visiting = me.visitor.visit(attic.id, {}, aborter.signal);
    await village.clock.advance(100);
    assert.equal(me.visitor.isVisiting(attic.id), true);
    aborter.abort();
    await assert.rejects(visiting, { name: "AbortError" });
    assert.deepEqual([me.visitor.isVisiting(attic.id), me.table.get(attic.id)?.failures], [false, 0]);
    assert.deepEqual([getEventListeners(aborter.signal, "abort").length, village.clock.sleeperCount], [0, 0]);
  });

  test("of nobody is over at once", async () => {
    const { me, attic } = lab();
    assert.deepEqual(await me.visitor.visit(attic.id, {}, never), { kind: "resting" });
  });
});

function lab() {
  const village = new Village();
  return { village, me: village.add(1), attic: village.add(2) };
}
