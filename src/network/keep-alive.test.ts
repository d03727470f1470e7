import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Scope } from "../base/index.ts";
import type { Failure } from "../core/index.ts";
import { keepAlive } from "./keep-alive.ts";

describe("keepAlive", () => {
  test("notices within 15 s that a link which carries something is dead", async () => {
    await using lab = new Lab({ busy: true, answers: false });
    await lab.clock.advance(15_000);
    assert.equal(lab.deaths.length, 1);
    assert.match(lab.deaths[0]?.message ?? "", /not answered for 15 s/);
  });

  test("notices within 60 s that an idle link is dead", async () => {
    for (const end of [{}, { watched: false }]) {
      await using lab = new Lab({ busy: false, answers: false, ...end });
      await lab.clock.advance(55_000);
      assert.equal(lab.deaths.length, 0);
      await lab.clock.advance(5_000);
      assert.equal(lab.deaths.length, 1);
    }
  });

  test("asks an idle link less than twice a minute", async () => {
    await using lab = new Lab({ busy: false, answers: true });
    await lab.clock.advance(600_000);
    assert.ok(lab.pings > 0 && lab.pings <= 15, `${lab.pings} pings`);
    assert.equal(lab.deaths.length, 0);
  });

  test("asks a watched link every 7 s though it is idle, and notices within 15 s that it is dead", async () => {
    await using quiet = new Lab({ busy: false, watched: true, answers: true });
    await quiet.clock.advance(600_000);
    assert.ok(quiet.pings >= 82 && quiet.pings <= 88, `${quiet.pings} pings`);
    assert.deepEqual(quiet.silences, []);
    await using lab = new Lab({ busy: false, watched: true, answers: false });
    await lab.clock.advance(15_000);
    assert.equal(lab.deaths.length, 1);
  });

  test("tells within 9 s of the last byte that a watched link is silent, and when it speaks again", async () => {
    for (let comesAt = 250; comesAt <= 10_000; comesAt += 250) {
      await using lab = new Lab({ busy: false, watched: true, answers: false });
      await lab.clock.advance(comesAt);
      lab.bytes += 1;
      await lab.clock.advance(2_500);
      const before = lab.silences.length;
      await lab.clock.advance(6_500);
      assert.deepEqual([lab.silences.length - before, lab.silences.at(-1)], [1, true], `after ${comesAt} ms`);
      lab.bytes += 1;
      await lab.clock.advance(2_500);
      assert.deepEqual([lab.silences.at(-1), lab.deaths.length], [false, 0]);
    }
  });

  test("asks a watched link as often though its answers are slow", async () => {
    await using lab = new Lab({ busy: false, watched: true, answers: false });
    await lab.clock.advance(7_000);
    for (let step = 1; step < 10; step++) {
      assert.equal(lab.pings, step);
      await lab.clock.advance(1_500);
      lab.answerLate();
      await lab.clock.advance(5_500);
    }
    assert.deepEqual(lab.silences, []);
  });

  test("counts from the last byte that came, whenever that was", async () => {
    for (const kind of [{ busy: true }, { busy: true, watched: false }, { busy: false, watched: true }]) {
      for (let comesAt = 250; comesAt <= 10_000; comesAt += 250) {
        await using lab = new Lab({ ...kind, answers: false });
        await lab.clock.advance(comesAt);
        if (lab.deaths.length > 0) break;
        lab.bytes += 1;
        await lab.clock.advance(15_000);
        assert.equal(lab.deaths.length, 1, `with a byte after ${comesAt} ms`);
      }
    }
  });

  test("asks no link on which bytes arrive anyway", async () => {
    await using lab = new Lab({ busy: true, answers: true });
    for (let step = 0; step < 60; step++) {
      lab.bytes += 1;
      await lab.clock.advance(2_000);
    }
    assert.equal(lab.pings, 0);
  });

  test("asks from one end alone: every 5 s on a busy link, every 45 s on an idle one", async () => {
    for (const { busy, least, most } of [
      { busy: true, least: 115, most: 125 },
      { busy: false, least: 12, most: 14 },
    ]) {
      for (let apartMs = 0; apartMs < 10_000; apartMs += 700) {
        const clock = new VirtualClock();
        await using asking = new Lab({ busy, answers: true, clock });
        await clock.advance(apartMs);
        await using answering = new Lab({ busy, watched: false, answers: true, clock });
        answering.hears(asking);
        asking.hears(answering);
        await clock.advance(600_000);
        assert.ok(asking.pings >= least && asking.pings <= most, `${asking.pings} pings`);
        assert.ok(answering.pings <= 1, `${answering.pings} pings of the other end`);
      }
    }
  });

  test("leaves a slow link alone while bytes arrive, though no ping is answered", async () => {
    await using lab = new Lab({ busy: true, answers: false });
    for (let step = 0; step < 60; step++) {
      lab.bytes += 1;
      await lab.clock.advance(4_000);
    }
    assert.equal(lab.deaths.length, 0);
  });

  test("does not take one lost ping for death when the next is answered", async () => {
    await using lab = new Lab({ busy: true, answers: false });
    await lab.clock.advance(12_000);
    lab.answerLate();
    await lab.clock.advance(9_000);
    assert.equal(lab.deaths.length, 0);
  });

  test("ends when it is told to", async () => {
    const lab = new Lab({ busy: true, answers: true });
    await lab.clock.advance(7_000);
    await lab.scope.close();
    assert.equal(lab.clock.sleeperCount, 0);
  });
});

interface LabOptions {
  readonly busy: boolean;
  readonly answers: boolean;
  /** Of an end that answers requests. */
  readonly watched?: boolean;
  readonly clock?: VirtualClock;
}

/** A watched link that answers pings at once, or never. */
class Lab implements AsyncDisposable {
  readonly clock: VirtualClock;
  readonly scope = new Scope();
  readonly deaths: Failure[] = [];
  bytes = 0;
  pings = 0;
  readonly silences: boolean[] = [];
  answerLate: () => void = () => {};

  #asked: () => void = () => {};

  constructor({ busy, answers, watched, clock = new VirtualClock() }: LabOptions) {
    this.clock = clock;
    const link = {
      ping: (answered: () => void) => {
        this.pings++;
        this.#asked();
        if (answers) answered();
        else this.answerLate = answered;
      },
      bytesRead: () => this.bytes,
      isBusy: () => busy,
      ...(watched === undefined ? {} : { answers: this.#end(watched) }),
      dead: (why: Failure) => void this.deaths.push(why),
    };
    this.scope.spawn((signal) => keepAlive(link, this.clock, signal));
  }

  #end(watched: boolean) {
    return { isWatched: () => watched, silence: (isSilent: boolean) => void this.silences.push(isSilent) };
  }

  /** Each question of the other end is a byte that comes here. */
  hears(other: Lab): void {
    other.#asked = () => void this.bytes++;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scope.close();
  }
}
