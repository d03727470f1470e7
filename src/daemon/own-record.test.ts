import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { describe, test } from "node:test";
import { SignedNode } from "../../test/support/signed-node.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { isCleanText, MAX_SEQ, verifyRecord } from "../core/index.ts";
import { type OwnFacts, OwnRecord } from "./own-record.ts";

const node = new SignedNode(9);
const DAY = 86_400_000;

describe("OwnRecord", () => {
  test("is signed by the node's key, and numbered from the seconds since 1970", () => {
    const { own, clock } = lab();
    const record = verifyRecord(own.latest.signed);
    assert.deepEqual(record, own.latest.record);
    assert.equal(record.seq, clock.wallTime() / 1000);
  });

  test("is signed anew with a higher number when a fact changes, and only then", () => {
    const { own } = lab();
    const { seq } = own.latest.record;
    const heard: number[] = [];
    own.changes.on(({ record }) => heard.push(record.seq));
    own.update({ port: 0 });
    own.update({ port: 9000 });
    own.update({ port: 9000 });
    assert.deepEqual([heard, own.latest.record.port], [[seq + 1], 9000]);
  });

  test("never takes a number twice, though the clock goes back", () => {
    const { database, clock, own } = lab();
    clock.jumpWallTime(-400 * DAY);
    const next = make({ database, clock });
    assert.ok(next.latest.record.seq > own.latest.record.seq);
  });

  test("jumps above what others hold", () => {
    const { own } = lab();
    const { seq } = own.latest.record;
    own.outdo(seq - 5);
    assert.equal(own.latest.record.seq, seq);
    own.outdo(seq + 5_000);
    assert.equal(own.latest.record.seq, seq + 5_001);
    own.update({ info: "more" });
    assert.equal(own.latest.record.seq, seq + 5_002);
  });

  test("does not use up the numbers because the clock is far in the future", () => {
    const { database, clock } = lab();
    clock.jumpWallTime(40_000 * 365 * DAY);
    assert.ok(make({ database, clock }).latest.record.seq <= MAX_SEQ / 2);
  });

  test("stays within the numbers that there are", () => {
    const { own } = lab();
    own.outdo(MAX_SEQ);
    own.update({ info: "more" });
    assert.equal(verifyRecord(own.latest.signed).seq, MAX_SEQ);
  });

  test("leaves out the owner's text, then the GPUs, where all does not fit", () => {
    const gpu = { model: "An accelerator with a rather long name, 96 GiB", memoryBytes: 96 * 2 ** 30 };
    const { own } = lab({
      info: "ü".repeat(100),
      labels: Array.from({ length: 8 }, (_, i) => `a-label-of-thirty-characters-${i}`),
    });
    assert.equal(own.latest.record.info.length, 100);
    own.update({ resources: { cpus: 8, memoryBytes: 1, diskBytes: 1, gpus: Array.from({ length: 8 }, () => gpu) } });
    const told = verifyRecord(own.latest.signed);
    assert.deepEqual([told.info, told.resources.gpus, told.resources.cpus], ["", [], 8]);
  });

  test("cleans a name that does not show as it is", () => {
    const { own } = lab({ name: "at\u202Etic\u0007" });
    assert.match(verifyRecord(own.latest.signed).name, /^at.?tic.?$/);
    assert.ok(isCleanText(own.latest.record.name));
  });
});

function lab(facts: Partial<OwnFacts> = {}) {
  const database = new DatabaseSync(":memory:");
  const clock = new VirtualClock();
  return { database, clock, own: make({ database, clock, facts }) };
}

interface Making {
  readonly database: DatabaseSync;
  readonly clock: VirtualClock;
  readonly facts?: Partial<OwnFacts>;
}

function make({ database, clock, facts = {} }: Making): OwnRecord {
  const { v: _v, seq: _seq, boot, ...rest } = node.record({ port: 0 });
  return new OwnRecord({ key: node.key, boot, database, clock }, { ...rest, ...facts });
}
