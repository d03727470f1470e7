import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Fate, type House, Village } from "../../test/support/village.ts";
import type { UpdateProgress, UpdateResult } from "./contract.ts";
import { HopWalks } from "./hop-walk.ts";

const never = new AbortController().signal;

describe("A walk", () => {
  test("goes hop by hop along a chain in which each node knows only the next", async () => {
    await using lab = new Lab(5);
    lab.chain();
    const result = await lab.walk(4);
    assert.deepEqual([result.answered, result.hops, lab.verified], [4, 4, 4]);
  });

  test("stops where it was told to, and says how many are left", async () => {
    await using lab = new Lab(5);
    lab.chain();
    const result = await lab.walk(2);
    assert.deepEqual([lab.verified, result.beyond, result.found], [2, 1, 2]);
  });

  test("of three hops is what one gets without a word", async () => {
    await using lab = new Lab(6);
    lab.chain();
    assert.equal((await lab.walk()).answered, 3);
  });

  test("over a hundred nodes at 30 ms, a tenth of them dead, takes less than a second", async () => {
    await using lab = new Lab(101);
    lab.everybodyKnowsEverybody();
    lab.fate("silent", 0.05).fate("refuses", 0.05, 5);
    const result = await lab.walk();
    assert.ok(result.tookMs <= 1_000, `${result.tookMs} ms`);
    assert.deepEqual([lab.verified, result.trying.length, result.failed], [90, 5, 5]);
  });

  test("is not delayed by nodes that accept and never answer", async () => {
    await using lab = new Lab(60);
    lab.everybodyKnowsEverybody();
    lab.fate("mute", 0.2);
    const result = await lab.walk();
    assert.ok(result.tookMs <= 1_000, `${result.tookMs} ms`);
    assert.equal(result.trying.length, 12);
  });

  test("waits for slow nodes as long as the others take", async () => {
    await using lab = new Lab(30, { rttMs: 400 });
    lab.everybodyKnowsEverybody();
    assert.deepEqual([(await lab.walk()).answered, lab.verified], [29, 29]);
  });

  test("waits for those that it has to dial, however quickly one answered that it has a link to", async () => {
    await using lab = new Lab(30, { rttMs: 300 });
    lab.everybodyKnowsEverybody();
    const linked = lab.others[0] ?? assert.fail();
    for (const house of [lab.me, linked]) house.rttMs = 1;
    await lab.village.until(lab.me.visitor.visit(linked.id, {}, never), 5_000);
    lab.me.hear(...lab.others);
    assert.equal((await lab.walk()).answered, 29);
  });

  test("ends soon when nobody answers at all", async () => {
    await using lab = new Lab(20);
    lab.everybodyKnowsEverybody();
    lab.fate("silent", 1);
    const result = await lab.walk();
    assert.ok(result.tookMs <= 3_000, `${result.tookMs} ms`);
    assert.equal(result.answered, 0);
  });

  test("has no more than so many visits at once", async () => {
    await using lab = new Lab(80, { concurrency: 7 });
    lab.me.hear(...lab.others);
    let most = 0;
    const result = await lab.walk(1, ({ waiting }) => (most = Math.max(most, waiting)));
    assert.equal(result.answered, 79);
    assert.ok(most <= 14, String(most));
  });

  test("goes on with the late ones in the background", async () => {
    await using lab = new Lab(20);
    lab.everybodyKnowsEverybody();
    const slow = lab.others.at(-1) ?? assert.fail();
    slow.rttMs = 900;
    const result = await lab.walk();
    assert.deepEqual(result.trying, [{ id: slow.id, name: "node-20" }]);
    await lab.village.clock.advance(4_000);
    assert.equal(lab.me.table.get(slow.id)?.state, "verified");
  });

  test("tells how it goes, and each hop as it begins", async () => {
    await using lab = new Lab(4);
    lab.chain();
    const hops = new Set<number>();
    await lab.walk(3, ({ hop }) => void hops.add(hop));
    assert.deepEqual([...hops], [1, 2, 3]);
  });

  test("of a node that knows nobody is over at once", async () => {
    await using lab = new Lab(1);
    assert.equal((await lab.walk()).asked, 0);
  });

  test("ends when whoever asked for it leaves", async () => {
    await using lab = new Lab(5);
    lab.everybodyKnowsEverybody();
    lab.fate("silent", 1);
    const aborter = new AbortController();
    const walking = lab.walks.walk({ note: () => {} }, aborter.signal);
    await lab.village.clock.advance(100);
    aborter.abort();
    await assert.rejects(walking, { name: "AbortError" });
  });

  for (const hops of [0, 17, 1.5, Number.NaN]) {
    test(`of ${hops} hops is refused`, async () => {
      await using lab = new Lab(1);
      await assert.rejects(lab.walk(hops), { code: "bad-argument" });
    });
  }
});

class Lab implements AsyncDisposable {
  readonly village: Village;
  readonly me: House;
  readonly others: readonly House[];
  readonly walks: HopWalks;

  constructor(count: number, { rttMs = 30, concurrency = 256 }: { rttMs?: number; concurrency?: number } = {}) {
    this.village = new Village({ rttMs });
    const [me, ...others] = Array.from({ length: count }, (_, i) => this.village.add(i + 1));
    this.me = me ?? assert.fail();
    this.others = others;
    const { table, visitor } = this.me;
    this.walks = new HopWalks({ table, visitor, clock: this.village.clock }, { concurrency });
  }

  /** The first knows the second, the second the third. */
  chain(): void {
    [this.me, ...this.others].forEach((house, i) => {
      const next = this.others[i];
      if (next !== undefined) house.knows(next);
    });
  }

  everybodyKnowsEverybody(): void {
    this.me.hear(...this.others.slice(0, 5));
    for (const house of this.others) house.knows(...this.others.filter((other) => other !== house));
  }

  fate(fate: Fate, share: number, skip = 0): this {
    const from = this.others.toReversed().slice(skip);
    for (const house of from.slice(0, Math.round(this.others.length * share))) house.fate = fate;
    return this;
  }

  get verified(): number {
    return this.me.table.rows.counts.verified;
  }

  async walk(hops?: number, note: (progress: UpdateProgress) => void = () => {}): Promise<UpdateResult> {
    const walking = this.walks.walk({ note, ...(hops === undefined ? {} : { hops }) }, never);
    return await this.village.until(walking, 10_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.walks[Symbol.asyncDispose]();
  }
}
