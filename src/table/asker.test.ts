import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, replyOf } from "../../test/support/fake-link.ts";
import { SignedNode } from "../../test/support/signed-node.ts";
import { type House, tag, Village } from "../../test/support/village.ts";
import { Failure, type SignedRecord } from "../core/index.ts";
import { askTable } from "./ask.ts";
import { MAX_REPLY_BYTES, type TableReply } from "./contract.ts";

const never = new AbortController().signal;

describe("Asker", () => {
  test("learns what its neighbour verified, and the neighbour itself", async () => {
    const lab = new Lab();
    lab.attic.knows(lab.village.add(3), lab.village.add(4));
    const page = await lab.page();
    assert.deepEqual([page.fresh, page.more], [3, false]);
    assert.equal(lab.me.table.get(lab.attic.id)?.record?.name, "node-2");
  });

  test("learns nothing that its neighbour has not verified", async () => {
    const lab = new Lab();
    lab.attic.hear(lab.village.add(3));
    assert.equal((await lab.page()).fresh, 1);
  });

  test("is told only what is new when it asks again", async () => {
    const lab = new Lab();
    lab.attic.knows(lab.village.add(3));
    await lab.page();
    lab.attic.knows(lab.village.add(4));
    assert.deepEqual(
      [await lab.page(), await lab.page()].map(({ fresh, known }) => [fresh, known]),
      [
        [1, 0],
        [0, 0],
      ],
    );
  });

  test("is not told what it heard elsewhere", async () => {
    const lab = new Lab();
    const others = Array.from({ length: 40 }, (_, i) => lab.village.add(i + 10));
    lab.attic.knows(...others);
    lab.barn.knows(...others);
    await lab.page(lab.attic);
    const page = await lab.page(lab.barn);
    assert.equal(page.known, 0);
  });

  test("is not told what it knew before on a later page either", async () => {
    const lab = new Lab();
    const others = Array.from({ length: 300 }, (_, i) => lab.village.add(i + 10));
    lab.attic.knows(...others);
    lab.me.hear(...others.slice(200));
    await lab.page(lab.attic, 0);
    const pages = [await lab.page(lab.attic, 150), await lab.page(lab.attic, 150)];
    assert.deepEqual(
      pages.map(({ known }) => known),
      [0, 0],
    );
    assert.ok(lab.me.table.rows.size > 290);
  });

  test("asks a neighbour in another life from the beginning", async () => {
    const lab = new Lab();
    await lab.page();
    lab.attic.reply = ({ since }) => {
      assert.match(since ?? "", /^[0-9a-f]{16}\.0$/);
      return { records: [lab.village.add(5).own.signed], cursor: `${"e".repeat(16)}.1`, more: false };
    };
    assert.equal((await lab.page()).fresh, 1);
  });

  test("says who it is once, and again when that changed", async () => {
    const lab = new Lab();
    await lab.page();
    await lab.page();
    lab.me.seq = 2;
    await lab.page();
    assert.deepEqual(
      lab.me.questions.map(({ question }) => question.record !== undefined),
      [true, false, true],
    );
    assert.equal(lab.attic.table.get(lab.me.id)?.record?.seq, 2);
  });

  test("pages through a large table, 250 rows and 400 KiB at a time", async () => {
    const lab = new Lab();
    lab.attic.knows(...Array.from({ length: 600 }, (_, i) => lab.village.add(i + 10)));
    const pages = [await lab.page(), await lab.page(), await lab.page()];
    assert.deepEqual(
      pages.map(({ more }) => more),
      [true, true, false],
    );
    // One in a hundred is mistaken for known, and comes from the next neighbour.
    assert.ok(lab.me.table.rows.size > 585, String(lab.me.table.rows.size));
  });
});

describe("Asker bars", () => {
  test("a peer that sends junk for ten minutes, and longer the next time", async () => {
    const lab = new Lab();
    lab.answer(Array.from({ length: 3 }, (_, i) => ({ ...lab.village.add(i + 20).own.signed, signature: "forged" })));
    assert.equal((await lab.page()).bad, 3);
    await lab.village.clock.advance(599_000);
    assert.equal(lab.me.asker.isBarred(lab.attic.id), true);
    await lab.village.clock.advance(2_000);
    assert.equal(lab.me.asker.isBarred(lab.attic.id), false);
    lab.answer(Array.from({ length: 3 }, () => ({ body: "{", signature: "x" })));
    await lab.page();
    await lab.village.clock.advance(1_100_000);
    assert.equal(lab.me.asker.isBarred(lab.attic.id), true);
    assert.deepEqual([lab.me.asker.counts.bad, lab.me.asker.counts.refused], [6, 2]);
  });

  test("nobody for one bad record", async () => {
    const lab = new Lab();
    lab.answer([{ body: "{", signature: "x" }, lab.village.add(5).own.signed]);
    assert.deepEqual([(await lab.page()).fresh, lab.me.asker.isBarred(lab.attic.id)], [1, false]);
  });

  test("a peer that answers with more than was asked for", async () => {
    const lab = new Lab();
    lab.answer(Array.from({ length: 12 }, (_, i) => lab.village.add(i + 20).own.signed));
    await assert.rejects(lab.page(lab.attic, 10), { code: "bad-reply" });
    assert.deepEqual([lab.me.table.rows.size, lab.me.asker.isBarred(lab.attic.id)], [0, true]);
  });

  test("a peer whose answer is too large", async () => {
    const lab = new Lab();
    lab.attic.reply = () => {
      throw new Failure("too-large", "a gigabyte");
    };
    await assert.rejects(lab.page(), { code: "too-large" });
    assert.equal(lab.me.asker.isBarred(lab.attic.id), true);
  });

  test("no more than it can remember", async () => {
    const lab = new Lab();
    lab.answer([
      { body: "{", signature: "x" },
      { body: "{", signature: "x" },
      { body: "{", signature: "x" },
    ]);
    for (let i = 0; i < 1_100; i++) {
      const other = lab.village.add(i + 100);
      other.reply = lab.attic.reply;
      await lab.page(other);
    }
    assert.deepEqual(lab.me.asker.size, { neighbours: 512, barred: 1024 });
  });

  test("a hundred thousand junk records leave it with two rows", async () => {
    const lab = new Lab();
    const junk = Array.from({ length: 251 }, (_, i) =>
      tag(new SignedNode(i + 5_000).record({ addresses: ["20.0.0.1"] })),
    );
    lab.answer(junk);
    for (let i = 0; i < 400; i++) await lab.page();
    assert.equal(lab.me.table.rows.size, 2);
    assert.equal(lab.me.asker.counts.crowded, 400 * 249);
  });
});

describe("askTable", () => {
  test("reads no more of an answer than its cap", async () => {
    const { clock } = new Village();
    let sent = 0;
    const endless = async function* () {
      for (;;) {
        sent += 65_536;
        yield Buffer.alloc(65_536, 0x20);
      }
    };
    const { Readable } = await import("node:stream");
    const link = new FakeLink({ clock, answer: () => replyOf(200, Readable.from(endless())) });
    await assert.rejects(askTable(link, { limit: 1 }, never), { code: "too-large" });
    assert.ok(sent < MAX_REPLY_BYTES + 4 * 1024 * 1024, `${sent} bytes were read`);
  });

  test("takes no answer of another shape", async () => {
    const { clock } = new Village();
    for (const body of [
      {},
      { records: [], cursor: "x", more: false },
      { records: [{ body: 1 }], cursor: `${"0".repeat(16)}.1`, more: false },
    ]) {
      const link = new FakeLink({ clock, answer: () => replyOf(200, body) });
      await assert.rejects(askTable(link, { limit: 1 }, never), { code: "bad-reply" });
    }
  });
});

class Lab {
  readonly village = new Village({ rttMs: 0 });
  readonly me: House = this.village.add(1);
  readonly attic: House = this.village.add(2);
  readonly barn: House = this.village.add(3_000);

  async page(from = this.attic, limit = 250, link = new FakeLink({ clock: this.village.clock, peer: from.id })) {
    const page = this.me.asker.page(link, limit, never);
    page.catch(() => undefined); // the test looks at it later
    await this.village.clock.advance(0);
    return await page;
  }

  answer(records: SignedRecord[]): void {
    const reply: TableReply = { records, cursor: `${"0".repeat(16)}.0`, more: false };
    this.attic.reply = () => reply;
  }
}
