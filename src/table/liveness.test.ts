import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { SignedNode } from "../../test/support/signed-node.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { seededRandom } from "../base/index.ts";
import { isSignedBy, noNetworks, readRecord } from "../core/index.ts";
import { NodeTable } from "./node-table.ts";
import type { Row } from "./row.ts";

const me = new SignedNode(0);
const attic = new SignedNode(1);
const barn = new SignedNode(2);

describe("A node that does not answer", () => {
  test("is suspect at once, and asked again after 1 s, 2 s, 4 s … up to 10 min", async () => {
    const lab = new Lab();
    lab.verify(attic);
    const waits: number[] = [];
    for (let i = 0; i < 12; i++) {
      lab.fail(attic);
      waits.push(Math.floor((lab.row.nextTryAt - lab.clock.now()) / 1000));
    }
    assert.equal(lab.row.state, "suspect");
    const least = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600];
    assert.ok(
      waits.every((wait, i) => wait >= (least[i] ?? 0) && wait <= (least[i] ?? 0) * 1.25),
      waits.join(" "),
    );
  });

  test("leaves after ten tries and an hour, not sooner", async () => {
    const lab = new Lab();
    lab.verify(attic);
    for (let i = 0; i < 20; i++) lab.fail(attic);
    assert.equal(lab.table.get(attic.id)?.state, "suspect");
    await lab.clock.advance(3_600_000);
    lab.fail(attic);
    assert.equal(lab.table.get(attic.id), undefined);
  });

  test("leaves after three tries when it never answered", () => {
    const lab = new Lab();
    lab.table.learn([attic.sign()], { kind: "person" });
    for (let i = 0; i < 2; i++) lab.fail(attic);
    assert.equal(lab.row.state, "heard");
    lab.fail(attic);
    assert.equal(lab.table.get(attic.id), undefined);
  });

  test("stays for ever when it is a friend", async () => {
    const lab = new Lab();
    lab.table.join({ id: attic.id, relation: "friend", endpoints: [] });
    for (let day = 0; day < 30; day++) {
      lab.fail(attic);
      await lab.clock.advance(86_400_000);
    }
    assert.equal(lab.row.state, "suspect");
    assert.ok(lab.row.nextTryAt - lab.clock.now() <= 750_000);
  });

  test("is itself again with one answer", () => {
    const lab = new Lab();
    lab.verify(attic);
    for (let i = 0; i < 9; i++) lab.fail(attic);
    lab.verify(attic);
    assert.deepEqual([lab.row.state, lab.row.failures, lab.row.nextTryAt], ["verified", 0, 0]);
  });
});

describe("Failures do not count", () => {
  test("while nobody answers at all", async () => {
    const lab = new Lab();
    lab.verify(attic);
    await lab.clock.advance(60_000);
    for (let hour = 0; hour < 48; hour++) {
      lab.table.failed(attic.id, lab.clock.now());
      await lab.clock.advance(3_600_000);
    }
    assert.deepEqual([lab.row.state, lab.row.failures, lab.row.unclear], ["verified", 0, true]);
  });

  test("when only the node itself answered before", async () => {
    const lab = new Lab();
    await lab.clock.advance(60_000);
    lab.verify(attic);
    lab.table.failed(attic.id, lab.clock.now());
    assert.equal(lab.row.state, "verified");
  });

  test("when the machine slept during the try", async () => {
    const lab = new Lab();
    lab.verify(attic);
    const startedAt = lab.clock.now();
    await lab.clock.advance(8 * 3_600_000);
    lab.table.noteAnswer(barn.id);
    lab.table.failed(attic.id, startedAt);
    assert.equal(lab.row.state, "verified");
  });

  test("when the calendar jumps a year, for nothing is judged by it", () => {
    const lab = new Lab();
    lab.verify(attic);
    lab.clock.jumpWallTime(366 * 86_400_000);
    lab.fail(attic);
    lab.clock.jumpWallTime(-2 * 366 * 86_400_000);
    lab.fail(attic);
    assert.deepEqual([lab.row.state, lab.row.failures], ["suspect", 2]);
  });
});

describe("A node that may not be dialled now", () => {
  test("leaves after an hour of that", async () => {
    const lab = new Lab();
    lab.table.learn([attic.sign()], { kind: "person" });
    lab.table.postpone(lab.row);
    await lab.clock.advance(3_599_999);
    lab.table.postpone(lab.row);
    assert.ok(lab.row.nextTryAt > lab.clock.now());
    await lab.clock.advance(1);
    lab.table.postpone(lab.row);
    assert.equal(lab.table.get(attic.id), undefined);
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly table = new NodeTable({
    id: me.id,
    self: () => undefined,
    records: { read: readRecord, isSigned: isSignedBy },
    allowed: noNetworks,
    holdsGrant: () => false,
    clock: this.clock,
    random: seededRandom(1),
  });

  /** Attic's. */
  get row(): Row {
    return this.table.get(attic.id) ?? assert.fail("it has left");
  }

  verify(node: SignedNode): void {
    this.table.learn([node.sign()], { kind: "person" });
    this.table.answered(node.id, { kind: "tcp4", remote: `${node.address}:8088` });
  }

  /** A try that failed while somebody else answers. */
  fail(node: SignedNode): void {
    this.table.noteAnswer(barn.id);
    this.table.failed(node.id, this.clock.now());
  }
}
