import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { describe, test } from "node:test";
import { SignedNode } from "../../test/support/signed-node.ts";
import { TinyDisk } from "../../test/support/tiny-disk.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { type Log, Scope, silentLog } from "../base/index.ts";
import { isCleanText, MAX_SEQ, verifyRecord } from "../core/index.ts";
import { openDatabase } from "../store/index.ts";
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

describe("OwnRecord on a full disk", () => {
  test("cannot begin, and says why", async (t) => {
    await using disk = await TinyDisk.mount(t);
    if (disk === undefined) return;
    using database = openDatabase(join(disk.path, "state.sqlite"));
    make({ database, clock: new VirtualClock() }); // an earlier life
    await disk.fill();
    assert.throws(() => make({ database, clock: new VirtualClock() }), { code: "disk-full" });
  });

  test("stands as it was while it changes, says so once, and is signed anew once there is room", async (t) => {
    await using disk = await TinyDisk.mount(t);
    if (disk === undefined) return;
    using database = openDatabase(join(disk.path, "state.sqlite"));
    const clock = new VirtualClock();
    await using scope = new Scope();
    const said: string[] = [];
    const note = (message: string) => void said.push(message);
    const own = make({ database, clock, log: { ...silentLog, warn: note, info: note } });
    scope.spawn((signal) => own.run(signal));
    const before = own.latest;
    await disk.fill();
    own.update({ port: 9000 });
    own.outdo(before.record.seq + 70);
    own.update({ port: 9001 });
    assert.deepEqual([own.latest, own.stale, said], [before, true, ["the own record could not be signed anew"]]);
    await clock.advance(60_000);
    assert.deepEqual([own.latest, said.length], [before, 1]);
    await disk.clear();
    await clock.advance(10_000);
    const { port, seq } = verifyRecord(own.latest.signed);
    assert.deepEqual([port, seq, own.stale], [9001, before.record.seq + 71, false]);
    assert.equal(said.at(-1), "the own record is signed again");
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
  readonly log?: Log;
}

function make({ database, clock, facts = {}, log = silentLog }: Making): OwnRecord {
  const { v: _v, seq: _seq, boot, ...rest } = node.record({ port: 0 });
  return new OwnRecord({ key: node.key, boot, database, clock, log }, { ...rest, ...facts });
}
