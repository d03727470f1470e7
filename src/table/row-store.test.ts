import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SignedNode } from "../../test/support/signed-node.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { type Log, Scope, seededRandom, silentLog } from "../base/index.ts";
import { isSignedBy, noNetworks, readRecord } from "../core/index.ts";
import { openDatabase } from "../store/index.ts";
import { NodeTable } from "./node-table.ts";
import { RowStore } from "./row-store.ts";

const attic = new SignedNode(1);
const barn = new SignedNode(2);

describe("RowStore", () => {
  test("gives back in the next life what it was told in the last", () => {
    const lab = new Lab();
    lab.verify(attic);
    lab.table.join({ id: barn.id, relation: "own", name: "barn", endpoints: [{ host: "barn.example", port: 9 }] });
    lab.table.note(attic.id, { rttMs: 4.5, downBytesPerSecond: 7 });
    lab.table.setAnchor(lab.row(attic), true);
    lab.store.flush();
    const next = new Lab(lab.database);
    const row = next.row(attic);
    assert.deepEqual(
      [row.state, row.record?.name, row.proven?.host, row.measures, row.anchor, row.root],
      ["verified", "node-1", attic.address, { rttMs: 4.5, downBytesPerSecond: 7 }, true, attic.id],
    );
    assert.deepEqual([next.row(barn).name, next.row(barn).relation, next.row(barn).hints.length], ["barn", "own", 1]);
    assert.deepEqual(next.table.rows.counts, lab.table.rows.counts);
  });

  test("passes on in the next life what was verified in the last", () => {
    const lab = new Lab();
    lab.verify(attic);
    lab.store.flush();
    const next = new Lab(lab.database);
    assert.deepEqual(
      [...next.table.rows.passed.changedAfter(0)].map(({ id }) => id),
      [attic.id],
    );
  });

  test("forgets what left, and remembers its seq", async () => {
    const lab = new Lab();
    lab.scope.spawn((signal) => lab.store.run(signal));
    lab.verify(attic, 7);
    await lab.clock.advance(2_000);
    lab.table.remove(lab.row(attic));
    await lab.close();
    const next = new Lab(lab.database);
    assert.equal(next.table.get(attic.id), undefined);
    assert.equal(next.table.learn([attic.sign({ seq: 6 })], { kind: "person" }).fresh, 0);
  });

  test("writes every two seconds what changed, and nothing when nothing did", async () => {
    const lab = new Lab();
    lab.scope.spawn((signal) => lab.store.run(signal));
    lab.verify(attic);
    await lab.clock.advance(1_999);
    assert.equal(lab.lines, 0);
    await lab.clock.advance(1);
    assert.equal(lab.lines, 1);
    const before = lab.changes;
    await lab.clock.advance(60_000);
    assert.equal(lab.changes, before);
    await lab.close();
  });

  test("writes once more when it ends", async () => {
    const lab = new Lab();
    lab.scope.spawn((signal) => lab.store.run(signal));
    lab.verify(attic);
    await lab.close();
    assert.equal(lab.lines, 1);
  });

  test("passes over lines that cannot be read, and says how many", () => {
    const lab = new Lab();
    lab.verify(attic);
    lab.store.flush();
    const spoil = lab.database.prepare("INSERT INTO table_rows (id, body, signature, ours) VALUES (?, ?, ?, ?)");
    spoil.run(barn.id, "{", "x", '{"state":"verified","root":"r","hints":[],"anchor":false}');
    spoil.run("nonsense", null, null, "{}");
    spoil.run(new SignedNode(3).id, null, null, "not json");
    const said: unknown[] = [];
    const log: Log = { ...silentLog, warn: (_message, facts) => void said.push(facts) };
    const next = new Lab(lab.database, log);
    assert.deepEqual([next.table.rows.size, said], [1, [{ unreadable: 3 }]]);
  });

  test("refuses what a newer program wrote", () => {
    const lab = new Lab();
    lab.database.exec("UPDATE store_versions SET version = 99 WHERE room = 'table'");
    assert.throws(() => new Lab(lab.database), { code: "version-differs" });
  });

  test("keeps what a full disk did not take, and says so once", () => {
    const said: string[] = [];
    const log: Log = {
      ...silentLog,
      warn: (message) => void said.push(message),
      info: (message) => void said.push(message),
    };
    const lab = new Lab(openDatabase(":memory:"), log);
    lab.database.exec("PRAGMA max_page_count = 1");
    for (let i = 1; i < 60; i++) lab.verify(new SignedNode(i));
    lab.store.flush();
    lab.store.flush();
    assert.deepEqual(said, ["the IP table could not be written"]);
    lab.database.exec("PRAGMA max_page_count = 100000");
    lab.store.flush();
    assert.deepEqual([said.length, lab.lines], [2, 59]);
  });

  test("stops listening when it is disposed of", () => {
    const lab = new Lab();
    lab.store[Symbol.dispose]();
    assert.equal(lab.table.changes.listenerCount, 0);
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly scope = new Scope();
  readonly database;
  readonly table: NodeTable;
  readonly store: RowStore;

  constructor(database = openDatabase(":memory:"), log: Log = silentLog) {
    this.database = database;
    this.table = new NodeTable({
      id: new SignedNode(0).id,
      self: () => undefined,
      records: { read: readRecord, isSigned: isSignedBy },
      allowed: noNetworks,
      holdsGrant: () => false,
      clock: this.clock,
      random: seededRandom(1),
    });
    this.store = new RowStore({ database, table: this.table, clock: this.clock, log });
  }

  verify(node: SignedNode, seq = 1): void {
    this.table.learn([node.sign({ seq })], { kind: "person" });
    this.table.answered(node.id, { kind: "tcp4", remote: `${node.address}:8088` });
  }

  row(node: SignedNode) {
    return this.table.get(node.id) ?? assert.fail();
  }

  get lines(): number {
    return Number(this.database.prepare("SELECT count(*) AS n FROM table_rows").get()?.["n"]);
  }

  get changes(): number {
    return Number(this.database.prepare("SELECT total_changes() AS n").get()?.["n"]);
  }

  async close(): Promise<void> {
    await this.scope.close();
  }
}
