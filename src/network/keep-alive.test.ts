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
    await using lab = new Lab({ busy: false, answers: false });
    await lab.clock.advance(55_000);
    assert.equal(lab.deaths.length, 0);
    await lab.clock.advance(5_000);
    assert.equal(lab.deaths.length, 1);
  });

  test("asks an idle link less than twice a minute", async () => {
    await using lab = new Lab({ busy: false, answers: true });
    await lab.clock.advance(600_000);
    assert.ok(lab.pings > 0 && lab.pings <= 15, `${lab.pings} pings`);
    assert.equal(lab.deaths.length, 0);
  });

  test("asks a watched link every 10 s though it is idle, and notices within 15 s that it is dead", async () => {
    await using quiet = new Lab({ busy: false, watched: true, answers: true });
    await quiet.clock.advance(600_000);
    assert.ok(quiet.pings >= 50 && quiet.pings <= 60, `${quiet.pings} pings`);
    await using lab = new Lab({ busy: false, watched: true, answers: false });
    await lab.clock.advance(15_000);
    assert.equal(lab.deaths.length, 1);
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

/** A watched link that answers pings at once, or never. */
class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly scope = new Scope();
  readonly deaths: Failure[] = [];
  bytes = 0;
  pings = 0;
  answerLate: () => void = () => {};

  constructor({ busy, answers, watched: isWatched = false }: { busy: boolean; answers: boolean; watched?: boolean }) {
    const watched = {
      ping: (answered: () => void) => {
        this.pings++;
        if (answers) answered();
        else this.answerLate = answered;
      },
      bytesRead: () => this.bytes,
      isBusy: () => busy,
      isWatched: () => isWatched,
      dead: (why: Failure) => void this.deaths.push(why),
    };
    this.scope.spawn((signal) => keepAlive(watched, this.clock, signal));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scope.close();
  }
}
