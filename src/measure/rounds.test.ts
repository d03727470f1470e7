import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Answer, fakeId, FakeLink } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Scope, seededRandom, silentLog } from "../base/index.ts";
import { Failure, type NodeId } from "../core/index.ts";
import { type Measurable, MeasureRounds } from "./rounds.ts";
import type { RoundTrip } from "./round-trip.ts";
import { SpeedTests } from "./speed-tests.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe("MeasureRounds", () => {
  test("pings joined nodes every 2 minutes and keeps the median of the last five", async () => {
    await using lab = new Lab();
    const samples = [10, 20, 30, 40, 50, 60];
    lab.add(1, { joined: true, speedAt: 0, rttMs: () => samples.shift() ?? 60 });
    await lab.clock.advance(12 * MINUTE + 1_000);
    assert.equal(lab.noted.length, 6);
    assert.deepEqual(lab.noted.at(-1), { medianMs: 40, minMs: 20, maxMs: 60, jitterMs: 10, count: 5, path: "memory" });
  });

  test("pings others every 20 minutes", async () => {
    await using lab = new Lab();
    const link = lab.add(1, { joined: false, speedAt: undefined });
    await lab.clock.advance(HOUR + 1_000);
    assert.equal(link.pings, 3);
    assert.equal(lab.tests, 0);
  });

  test("never dials, and asks no more than eight nodes a round", async () => {
    await using lab = new Lab();
    for (let i = 1; i <= 20; i++) lab.add(i, { joined: true, speedAt: 0 });
    lab.nodes.push({ id: fakeId(99), joined: true, speedAt: undefined }); // has no link
    await lab.clock.advance(2 * MINUTE + 1_000);
    assert.equal(lab.noted.length, 8);
  });

  test("begins anew when a link was lost", async () => {
    await using lab = new Lab();
    const link = lab.add(1, { joined: true, speedAt: 0 });
    await lab.clock.advance(2 * MINUTE + 1_000);
    link.break();
    lab.nodes = [];
    lab.add(1, { joined: true, speedAt: 0 });
    await lab.clock.advance(2 * MINUTE);
    assert.deepEqual(
      lab.noted.map(({ count }) => count),
      [1, 1],
    );
  });

  test("tests the speed of a joined node once, soon after it was reached", async () => {
    await using lab = new Lab();
    lab.add(1, { joined: true, speedAt: undefined });
    await lab.clock.advance(61_000);
    assert.equal(lab.tests, 1);
    lab.nodes = lab.nodes.map((node) => ({ ...node, speedAt: lab.clock.wallTime() }));
    await lab.clock.advance(DAY);
    assert.equal(lab.tests, 1);
  });

  test("tries a node that is busy again, ever more rarely", async () => {
    await using lab = new Lab();
    lab.add(1, { joined: true, speedAt: undefined });
    await lab.clock.advance(HOUR);
    assert.equal(lab.tests, 4); // after 1, 2, 6 and 22 minutes; the next is due after 86
    await lab.clock.advance(DAY);
    assert.ok(lab.tests >= 6 && lab.tests <= 10, `${lab.tests} tests in a day`);
  });

  test("tests again after a week, within 4 MB a day over all nodes", async () => {
    await using lab = new Lab();
    const weekAgo = lab.clock.wallTime() - 7 * DAY;
    lab.add(1, { joined: true, speedAt: weekAgo + HOUR });
    await lab.clock.advance(36 * MINUTE);
    assert.equal(lab.tests, 0);
    lab.add(2, { joined: true, speedAt: weekAgo });
    await lab.clock.advance(5 * DAY);
    assert.equal(lab.tests, 1); // what was saved up; the next is due ten days after it
    await lab.clock.advance(6 * DAY);
    assert.equal(lab.tests, 2);
  });

  test("measureNew tests every joined node without a speed at once", async () => {
    await using lab = new Lab();
    lab.add(1, { joined: true, speedAt: undefined });
    lab.add(2, { joined: true, speedAt: undefined });
    lab.add(3, { joined: false, speedAt: undefined });
    await lab.rounds.measureNew(lab.scope.signal);
    assert.equal(lab.tests, 2);
  });

  test("ends when it is aborted", async () => {
    const lab = new Lab();
    lab.add(1, { joined: true, speedAt: undefined });
    await lab.clock.advance(2 * MINUTE);
    await lab.scope.close();
    assert.equal(lab.clock.sleeperCount, 0);
  });

  test("ends with a defect", async () => {
    const lab = new Lab(() => Promise.reject(new TypeError("defect")));
    lab.add(1, { joined: true, speedAt: undefined });
    await lab.clock.advance(2 * MINUTE);
    await assert.rejects(lab.scope.close(), TypeError);
  });
});

/** Rounds that run over pretend links. Every speed test is refused as busy, and counted. */
class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly scope = new Scope();
  readonly links = new Map<NodeId, FakeLink>();
  readonly noted: RoundTrip[] = [];
  readonly rounds: MeasureRounds;
  nodes: Measurable[] = [];
  tests = 0;
  readonly #answer: Answer;

  constructor(answer: Answer = () => Promise.reject(new Failure("busy", "busy"))) {
    this.#answer = answer;
    const { clock } = this;
    this.rounds = new MeasureRounds({
      clock,
      random: seededRandom(7),
      log: silentLog,
      nodes: () => this.nodes,
      existing: (id) => {
        const link = this.links.get(id);
        return link?.open === true ? link : undefined;
      },
      note: (_id, roundTrip) => void this.noted.push(roundTrip),
      speedTests: new SpeedTests({ clock, note: () => undefined }),
    });
    this.scope.spawn((signal) => this.rounds.run(signal));
  }

  add(
    number: number,
    { rttMs = 20, ...rest }: Omit<Measurable, "id"> & { readonly rttMs?: number | (() => number) },
  ): FakeLink {
    const id = fakeId(number);
    const answer: Answer = (request, signal) => {
      this.tests++;
      return this.#answer(request, signal);
    };
    const link = new FakeLink({ clock: this.clock, peer: id, rttMs, answer });
    this.links.set(id, link);
    this.nodes.push({ id, ...rest });
    return link;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scope.close();
  }
}
