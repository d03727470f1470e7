import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { describe, test } from "node:test";
import fc from "fast-check";
import { FakeLink } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { measureRoundTrip, settled, summarise } from "./round-trip.ts";

describe("measureRoundTrip", () => {
  test("is the median, with the mean difference of neighbours as jitter", async () => {
    const lab = new Lab([30, 20, 24, 90, 22]);
    const measuring = lab.measure(5);
    await lab.clock.advance(1_000);
    assert.deepEqual(await measuring, {
      medianMs: 24,
      minMs: 20,
      maxMs: 90,
      jitterMs: (10 + 4 + 66 + 68) / 4,
      count: 5,
      path: "memory",
    });
  });

  test("leaves out a first sample that woke the link", async () => {
    const lab = new Lab([300, 20, 22, 21]);
    const measuring = lab.measure(4);
    await lab.clock.advance(1_000);
    assert.deepEqual(await measuring, { medianMs: 21, minMs: 20, maxMs: 22, jitterMs: 1.5, count: 3, path: "memory" });
  });

  test("gives up after 5 s without an answer", async () => {
    const lab = new Lab([undefined]);
    const measuring = assert.rejects(lab.measure(1), { code: "timed-out" });
    await lab.clock.advance(5_000);
    await measuring;
  });

  test("fails when the link is lost in the middle", async () => {
    const lab = new Lab([20, 20]);
    const measuring = assert.rejects(lab.measure(2), { code: "link-lost" });
    await lab.clock.advance(30);
    lab.link.break();
    await lab.clock.advance(30);
    await measuring;
  });

  test("ends when it is aborted, before and in the middle, and leaves no listener", async () => {
    const lab = new Lab([20, 20]);
    const leave = new AbortController();
    const measuring = assert.rejects(lab.measure(2, leave.signal), { name: "AbortError" });
    await lab.clock.advance(30);
    leave.abort();
    await measuring;
    await assert.rejects(lab.measure(2, leave.signal), { name: "AbortError" });
    assert.deepEqual(getEventListeners(leave.signal, "abort"), []);
    assert.equal(lab.clock.sleeperCount, 0);
  });
});

describe("a summary", () => {
  test("lies between the smallest and the largest sample, whatever they are", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 20 }),
        (samples) => {
          const { medianMs, minMs, maxMs, jitterMs } = summarise(settled(samples));
          assert.ok(minMs <= medianMs && medianMs <= maxMs);
          assert.ok(jitterMs >= 0 && jitterMs <= maxMs - minMs + 1e-6);
        },
      ),
    );
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly link: FakeLink;

  constructor(samples: (number | undefined)[]) {
    this.link = new FakeLink({ clock: this.clock, rttMs: () => samples.shift() });
  }

  measure(count: number, signal: AbortSignal = new AbortController().signal) {
    return measureRoundTrip(this.link, { clock: this.clock, count }, signal);
  }
}
