import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SignedNode } from "../../test/support/signed-node.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { seededRandom, systemClock } from "../base/index.ts";
import {
  AllowedNetworks,
  isSignedBy,
  type NodeId,
  type NodeRecord,
  readRecord,
  type SignedRecord,
} from "../core/index.ts";
import { NodeTable, type NodeTableOptions } from "./node-table.ts";
import type { RowChange } from "./row.ts";

const me = new SignedNode(0);
const attic = new SignedNode(1);
const barn = new SignedNode(2);
const cellar = new SignedNode(3);
const person = { kind: "person" } as const;

describe("NodeTable learns", () => {
  test("a record that its key signed", () => {
    const { table } = new Lab();
    const learned = table.learn([attic.sign()], person);
    assert.deepEqual([learned.fresh, learned.freshIds], [1, [attic.id]]);
    assert.equal(table.get(attic.id)?.state, "heard");
  });

  test("no record with any one bit flipped", () => {
    const signed = attic.sign();
    const bytes = Buffer.from(signed.body);
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const flipped = Buffer.from(bytes);
        flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const { table } = new Lab();
        table.learn([{ ...signed, body: flipped.toString("utf8") }], person);
        return table.rows.size === 0;
      }),
      { numRuns: 300 },
    );
  });

  test("no record that claims another's key", () => {
    const { table } = new Lab();
    const forged = { body: JSON.stringify(attic.record()), signature: barn.sign().signature };
    assert.equal(table.learn([forged], person).bad, 1);
    assert.equal(table.rows.size, 0);
  });

  test("the same rows whatever the order and however often records come", () => {
    const versions = [1, 2, 3].flatMap((seq) => [
      attic.sign({ seq }),
      barn.sign({ seq }),
      attic.sign({ seq, info: "b" }),
    ]);
    const state = (records: readonly SignedRecord[]) => {
      const { table } = new Lab();
      table.learn(records, person);
      return [attic, barn].map(({ id }) => table.get(id)?.signed?.signature);
    };
    fc.assert(
      fc.property(
        fc.shuffledSubarray(versions, { minLength: versions.length }),
        fc.subarray(versions),
        (shuffled, again) => {
          assert.deepEqual(state([...shuffled, ...again]), state(versions));
        },
      ),
      { numRuns: 30 },
    );
  });

  test("the higher seq, and not the lower one after it", () => {
    const { table } = new Lab();
    table.learn([attic.sign({ seq: 9 })], person);
    assert.deepEqual([table.learn([attic.sign({ seq: 8 })], person).known, table.get(attic.id)?.record?.seq], [1, 9]);
  });

  test("what it holds already without checking the signature again", () => {
    const lab = new Lab();
    lab.table.learn([attic.sign()], person);
    lab.table.learn([attic.sign(), attic.sign()], person);
    assert.equal(lab.checked, 1);
  });

  test("at most 16 bad records of one reply, and leaves the rest unread", () => {
    const lab = new Lab();
    const junk = Array.from({ length: 1000 }, (_, i) => ({ body: `{"n":${i}}`, signature: "x".repeat(86) }));
    assert.deepEqual([lab.table.learn(junk, person).bad, lab.checked], [16, 0]);
  });

  test("nothing of a million forged records, 16 of each reply are looked at, and memory stays as it was", () => {
    const lab = new Lab({ forged: true });
    const site = Array.from({ length: 2_000 }, (_, i) => ({
      body: JSON.stringify(new SignedNode(i + 20_000).record({ addresses: [`20.0.0.${i % 256}`] })),
      signature: "x".repeat(86),
    }));
    const before = process.memoryUsage().heapUsed;
    const startedAt = systemClock.now();
    let sent = 0;
    let checked = 0;
    for (; sent < 1_000_000; sent += 250) {
      const from = sent % site.length;
      lab.table.learn(site.slice(from, from + 250), { kind: "node", id: attic.id });
      checked = Math.max(checked, lab.checked / (sent / 250 + 1));
    }
    assert.deepEqual([sent, lab.table.rows.size], [1_000_000, 0]);
    assert.ok(checked <= 16, `${checked} signatures checked in a reply`);
    assert.ok(systemClock.now() - startedAt < 20_000);
    assert.ok(process.memoryUsage().heapUsed - before < 100 * 1024 * 1024);
  });

  test("nothing at a private, loopback or other address that gossip may not name", () => {
    const { table } = new Lab();
    for (const address of [
      "127.0.0.1",
      "192.168.0.1",
      "::1",
      "fe80::1",
      "::ffff:10.0.0.1",
      "64:ff9b::a00:1",
      "224.0.0.1",
    ]) {
      assert.equal(table.learn([attic.sign({ addresses: [address] })], person).useless, 1, address);
    }
    assert.equal(table.learn([attic.sign({ port: 443 })], person).useless, 1);
  });

  test("an address in a network that a person named", () => {
    const { table } = new Lab({ allow: ["10.0.0.0/8"] });
    assert.equal(table.learn([attic.sign({ addresses: ["10.0.0.1"] })], person).fresh, 1);
  });

  test("nothing of itself, and says so when its own key signed something as new as its own", () => {
    const lab = new Lab();
    const heard: NodeRecord[] = [];
    lab.table.echoes.on((record) => heard.push(record));
    lab.table.learn([me.sign({ seq: 4 }), me.sign({ seq: 5 }), me.sign({ seq: 6, boot: "f".repeat(16) })], person);
    assert.deepEqual(
      heard.map(({ seq, boot }) => [seq, boot[0]]),
      [[6, "f"]],
    );
    assert.equal(lab.table.rows.size, 0);
  });

  test("of two homes with one key, by another boot under the same seq", () => {
    const lab = new Lab();
    const heard: NodeRecord[] = [];
    lab.table.echoes.on((record) => heard.push(record));
    lab.table.learn([me.sign({ seq: 5, boot: "f".repeat(16) })], person);
    assert.equal(heard.length, 1);
  });

  test("no echo that its key did not sign", () => {
    const lab = new Lab();
    lab.table.echoes.on(() => assert.fail("it was not signed"));
    assert.equal(
      lab.table.learn([{ body: JSON.stringify(me.record({ seq: 9 })), signature: attic.sign().signature }], person).bad,
      1,
    );
  });

  test("an announcement of the asker alone", () => {
    const { table } = new Lab();
    assert.equal(table.learn([attic.sign()], { kind: "announced", by: barn.id }).bad, 1);
    assert.equal(table.learn([attic.sign()], { kind: "announced", by: attic.id }).fresh, 1);
    assert.equal(table.get(attic.id)?.root, "announced");
  });
});

describe("NodeTable keeps lineages", () => {
  test("a row descends from the first hop it came through", () => {
    const { table } = new Lab();
    table.learn([attic.sign()], person);
    table.learn([barn.sign()], { kind: "node", id: attic.id });
    table.learn([cellar.sign()], { kind: "node", id: barn.id });
    assert.deepEqual(
      [barn, cellar].map(({ id }) => table.get(id)?.root),
      [attic.id, attic.id],
    );
  });

  test("who announced itself is moved to the lineage of whoever tells of it", () => {
    const { table } = new Lab();
    table.learn([attic.sign()], person);
    table.learn([barn.sign()], { kind: "announced", by: barn.id });
    table.learn([barn.sign()], { kind: "node", id: attic.id });
    assert.equal(table.get(barn.id)?.root, attic.id);
  });
});

describe("NodeTable has caps", () => {
  test("two strangers per address", () => {
    const { table } = new Lab();
    const learned = table.learn(
      crowd(5, () => "20.0.0.1"),
      person,
    );
    assert.deepEqual([learned.fresh, learned.crowded], [2, 3]);
  });

  test("two strangers per /64, ten per /24 and per /48", () => {
    const { table } = new Lab();
    assert.equal(
      table.learn(
        crowd(9, (i) => `2a00:1:1:1::${i + 1}`),
        person,
      ).fresh,
      2,
    );
    assert.equal(
      table.learn(
        crowd(20, (i) => `2a00:2:2:${i}::1`, 100),
        person,
      ).fresh,
      10,
    );
    assert.equal(
      table.learn(
        crowd(30, (i) => `20.0.0.${i + 1}`, 200),
        person,
      ).fresh,
      10,
    );
  });

  test("a thirty-second of the table per provider", () => {
    const { table } = new Lab({ options: { maxRows: 640 } });
    assert.equal(
      table.learn(
        crowd(60, (i) => `20.0.${i}.1`),
        person,
      ).fresh,
      20,
    );
  });

  test("64 strangers behind one relay", () => {
    const { table } = new Lab();
    const behind = crowd(70, () => "20.0.0.1").map((_, i) =>
      new SignedNode(i + 500).sign({ addresses: [], via: [attic.id] }),
    );
    assert.equal(table.learn(behind, person).fresh, 64);
  });

  test("rows at most, however many records come", () => {
    const { table } = new Lab({ options: { maxRows: 50 } });
    for (let i = 0; i < 4; i++)
      table.learn(
        crowd(100, (n) => `${20 + i}.${n}.1.1`, 100 * i + 1),
        person,
      );
    assert.equal(table.rows.size, 50);
  });

  test("none for loopback, LAN and allowed networks", () => {
    const { table } = new Lab({ allow: ["20.0.0.0/8"] });
    assert.equal(
      table.learn(
        crowd(40, () => "20.0.0.1"),
        person,
      ).fresh,
      40,
    );
  });

  test("none for friends and holders of a grant", () => {
    const lab = new Lab();
    const nodes = Array.from({ length: 6 }, (_, i) => new SignedNode(i + 1));
    for (const node of nodes.slice(0, 3)) lab.table.join({ id: node.id, relation: "friend", endpoints: [] });
    for (const node of nodes.slice(3)) lab.granted.add(node.id);
    lab.table.learn(
      nodes.map((node) => node.sign({ addresses: ["20.0.0.1"] })),
      person,
    );
    assert.equal(nodes.filter(({ id }) => lab.table.get(id)?.record !== undefined).length, 6);
    assert.equal(
      lab.table.learn(
        crowd(2, () => "20.0.0.1", 50),
        person,
      ).fresh,
      2,
    );
  });

  test("claims do not crowd out who proved to be there", () => {
    const { table } = new Lab();
    table.learn([attic.sign({ addresses: ["20.0.0.1", "30.0.0.1"] })], person);
    table.learn(
      crowd(2, () => "30.0.0.1", 50),
      person,
    );
    assert.equal(table.answered(attic.id, { kind: "tcp4", remote: "20.0.0.1:8088" }), true);
    assert.equal(table.learn([barn.sign({ addresses: ["20.0.0.1"] })], person).fresh, 1);
  });

  test("says by which way a node is reached now", () => {
    const { table } = new Lab();
    table.learn([attic.sign(), barn.sign()], person);
    table.answered(attic.id, { kind: "relayed", remote: "via cellar" });
    for (const { id } of [attic, barn]) table.reachedBy(id, "punched");
    assert.deepEqual([table.get(attic.id)?.path, table.get(barn.id)?.path], ["punched", undefined]);
  });

  test("who proves a third key at one address is not kept", () => {
    const { table } = new Lab();
    const three = [attic, barn, cellar];
    for (const node of three) table.learn([node.sign({ addresses: [node.address, "20.0.0.1"] })], person);
    const kept = three.map(({ id }) => table.answered(id, { kind: "tcp4", remote: "20.0.0.1:8088" }));
    assert.deepEqual([kept, table.get(cellar.id)], [[true, true, false], undefined]);
  });

  test("for a full table of verified rows: those with low places stay, whoever came first", () => {
    const nodes = Array.from({ length: 60 }, (_, i) => new SignedNode(i + 1));
    const kept = (order: readonly SignedNode[]) => {
      const { table } = new Lab({ options: { maxRows: 20 } });
      for (const node of order) {
        table.learn([node.sign()], person);
        table.answered(node.id, { kind: "tcp4", remote: `${node.address}:8088` });
      }
      return nodes.filter(({ id }) => table.get(id)?.state === "verified").map(({ number }) => number);
    };
    assert.deepEqual(kept(nodes), kept(nodes.toReversed()));
    assert.equal(kept(nodes).length, 15);
  });

  test("an untested node takes no place of a verified one", () => {
    const { table } = new Lab({ options: { maxRows: 20 } });
    const verified = Array.from({ length: 15 }, (_, i) => new SignedNode(i + 1));
    for (const node of verified) {
      table.learn([node.sign()], person);
      table.answered(node.id, { kind: "tcp4", remote: `${node.address}:8088` });
    }
    table.learn(
      crowd(200, (i) => `30.${i}.1.1`, 100),
      person,
    );
    assert.equal(verified.filter(({ id }) => table.get(id)?.state === "verified").length, 15);
  });

  test("64 rows that were found on the LAN", () => {
    const { table } = new Lab();
    for (let i = 1; i <= 80; i++) table.sight(new SignedNode(i).id, { host: "192.168.0.9", port: i });
    assert.equal(table.rows.size, 64);
  });

  test("two places on the LAN for one node, and none that push out what a person said", () => {
    const { table } = new Lab();
    const row = table.join({ id: attic.id, relation: "friend", endpoints: [{ host: "attic.example", port: 1 }] });
    for (let port = 1; port <= 30; port++) table.sight(attic.id, { host: "192.168.0.9", port });
    assert.deepEqual(
      row.hints.map(({ endpoint }) => endpoint.port),
      [1, 30, 29],
    );
  });
});

describe("NodeTable passes on", () => {
  test("only what it verified, and no more once that is suspect", async () => {
    const lab = new Lab();
    lab.verify(attic, barn);
    lab.table.learn([cellar.sign()], person);
    assert.deepEqual(lab.passedOn(), [attic.id, barn.id]);
    lab.table.failed(attic.id, lab.clock.now());
    assert.deepEqual(lab.passedOn(), [barn.id]);
  });

  test("a new record of a verified node only where the address stayed, until it is proved again", () => {
    const lab = new Lab();
    lab.verify(attic, barn);
    lab.table.learn([attic.sign({ seq: 2, info: "new" }), barn.sign({ seq: 2, addresses: ["66.6.6.6"] })], person);
    assert.deepEqual([lab.passedOn(), lab.table.get(barn.id)?.state], [[attic.id], "heard"]);
  });

  test("no node that is only beside it", () => {
    const lab = new Lab();
    lab.table.sight(attic.id, { host: "192.168.0.9", port: 8088 });
    lab.table.answered(attic.id, { kind: "tcp4", remote: "192.168.0.9:8088" });
    lab.table.learn([attic.sign({ addresses: ["192.168.0.9"] })], person);
    assert.deepEqual([lab.table.get(attic.id)?.state, lab.passedOn()], ["verified", []]);
  });
});

describe("NodeTable remembers", () => {
  test("the seq of a row that left, so that an older record does not come back", async () => {
    const lab = new Lab();
    lab.verify(attic);
    lab.table.learn([attic.sign({ seq: 7 })], person);
    lab.table.remove(lab.table.get(attic.id) ?? assert.fail());
    await lab.clock.advance(3_600_000);
    assert.deepEqual(
      [6, 7].map((seq) => lab.table.learn([attic.sign({ seq })], person).fresh),
      [0, 1],
    );
  });

  test("at most 16,384 of them", async () => {
    const { table } = new Lab();
    const row = table.join({ id: attic.id, relation: "friend", endpoints: [] });
    for (let i = 0; i < 20_000; i++)
      table.departed.add({ ...row, ...attic.versioned(), id: String(i) as NodeId, seenAt: 1 }, 0);
    assert.deepEqual(table.departed.size, { forgotten: 16_384, lost: 512 });
  });

  test("whom it lost, for a day, and gives each one more try", async () => {
    const lab = new Lab();
    lab.verify(attic, barn);
    for (const { id } of [attic, barn]) lab.table.remove(lab.table.get(id) ?? assert.fail());
    assert.equal(lab.table.revive()?.id, attic.id);
    lab.table.noteAnswer(cellar.id);
    lab.table.failed(attic.id, lab.clock.now());
    assert.equal(lab.table.get(attic.id), undefined);
    await lab.clock.advance(25 * 3_600_000);
    assert.equal(lab.table.revive(), undefined);
  });
});

describe("NodeTable joins", () => {
  test("gives two nodes that claim one name distinct names", () => {
    const { table } = new Lab();
    const names = [attic, barn].map(
      ({ id }) => table.join({ id, relation: "friend", name: "home", endpoints: [] }).name,
    );
    assert.deepEqual(names, ["home", "home-2"]);
  });

  test("names a node by its first claim, and never follows another", () => {
    const { table } = new Lab();
    const row = table.join({ id: attic.id, relation: "friend", endpoints: [] });
    table.learn([attic.sign({ name: "attic" })], person);
    table.learn([attic.sign({ name: "bank", seq: 2 })], person);
    assert.deepEqual([row.name, row.record?.name], ["attic", "bank"]);
  });

  test("keeps the name when it is joined again", () => {
    const { table } = new Lab();
    table.join({ id: attic.id, relation: "friend", name: "a", endpoints: [] });
    assert.equal(table.join({ id: attic.id, relation: "own", name: "b", endpoints: [] }).name, "a");
  });

  test("renames, but to no name that another one has", () => {
    const { table } = new Lab();
    const row = table.join({ id: attic.id, relation: "friend", name: "a", endpoints: [] });
    table.join({ id: barn.id, relation: "friend", name: "b", endpoints: [] });
    assert.throws(() => table.rename(row, "B"), { code: "conflict" });
    assert.throws(() => table.rename(row, "b\u0007"), { code: "bad-name" });
    table.rename(row, "c");
    assert.equal(row.name, "c");
  });

  test("does not join itself", () => {
    const { table } = new Lab();
    assert.throws(() => table.join({ id: me.id, relation: "own", endpoints: [] }), { code: "conflict" });
  });
});

describe("NodeTable says where to dial", () => {
  test("where it answered, what a person said, what the record says, what the LAN said", () => {
    const { table } = new Lab();
    table.learn([attic.sign({ addresses: ["20.0.0.1", "2A00::0:1", "10.0.0.1"] })], person);
    const row = table.join({ id: attic.id, relation: "friend", endpoints: [{ host: "attic.example", port: 80 }] });
    table.sight(attic.id, { host: "192.168.0.9", port: 8088 });
    table.answered(attic.id, { kind: "tcp6", remote: "[2a00::1]:8088" });
    assert.deepEqual(
      table.dialable(row).endpoints.map(({ host }) => host),
      ["2a00::1", "attic.example", "20.0.0.1", "192.168.0.9"],
    );
  });
});

describe("NodeTable tells", () => {
  test("of every row that changes or leaves", () => {
    const lab = new Lab();
    const news: RowChange[] = [];
    lab.table.changes.on((change) => news.push(change));
    lab.verify(attic);
    lab.table.note(attic.id, { rttMs: 4 });
    lab.table.remove(lab.table.get(attic.id) ?? assert.fail());
    assert.deepEqual(
      news.map(({ kind }) => kind),
      ["changed", "changed", "changed", "removed"],
    );
  });
});

/** Records of so many nodes, each at an address of the test's choice. */
function crowd(count: number, address: (i: number) => string, first = 1): SignedRecord[] {
  return Array.from({ length: count }, (_, i) => new SignedNode(first + i).sign({ addresses: [address(i)] }));
}

/** A table of `me`, whose own record has seq 5. */
class Lab {
  readonly clock = new VirtualClock();
  readonly granted = new Set<NodeId>();
  readonly table: NodeTable;
  checked = 0;

  constructor({
    allow = [],
    options = {},
    forged = false,
  }: { readonly allow?: readonly string[]; readonly options?: NodeTableOptions; readonly forged?: boolean } = {}) {
    const isSigned = (signed: SignedRecord, id: NodeId) => {
      this.checked++;
      return !forged && isSignedBy(signed, id);
    };
    this.table = new NodeTable(
      {
        id: me.id,
        self: () => me.versioned({ seq: 5 }),
        records: { read: readRecord, isSigned },
        allowed: AllowedNetworks.parse(allow),
        holdsGrant: (id) => this.granted.has(id),
        clock: this.clock,
        random: seededRandom(1),
      },
      options,
    );
    this.table.noteAnswer(new SignedNode(9_999).id);
  }

  verify(...nodes: readonly SignedNode[]): void {
    for (const node of nodes) {
      this.table.learn([node.sign()], person);
      this.table.answered(node.id, { kind: "tcp4", remote: `${node.address}:8088` });
    }
  }

  passedOn(): NodeId[] {
    return Array.from(this.table.rows.passed.changedAfter(0), (row) => row.id);
  }
}
