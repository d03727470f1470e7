import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import type { Counted } from "./contract.ts";
import { bytesPerSecond, meter } from "./meter.ts";

const never = new AbortController().signal;

describe("meter", () => {
  test("counts bytes from the first to the last", async () => {
    const lab = new Lab();
    const counting = lab.count();
    await lab.clock.advance(700); // before the first byte: not counted
    await lab.send(1_000);
    await lab.clock.advance(500);
    await lab.send(1_000);
    lab.source.end();
    assert.deepEqual(await counting, { bytes: 2_000, ms: 500 });
  });

  test("has had enough at its cap, exactly, and reads no more", async () => {
    const lab = new Lab();
    const counting = lab.count({ maxBytes: 1_500 });
    await lab.send(1_000);
    await lab.send(1_000);
    assert.equal((await counting).bytes, 1_500);
    assert.equal(lab.source.isPaused(), true);
  });

  test("has had enough when its time is over, and counts the silence", async () => {
    const lab = new Lab();
    const counting = lab.count();
    await lab.send(1_000);
    await lab.clock.advance(4_000);
    await lab.send(1_000);
    await lab.clock.advance(4_000);
    await lab.send(1_000);
    await lab.clock.advance(2_000);
    assert.deepEqual(await counting, { bytes: 3_000, ms: 10_000 });
  });

  test("gives up on a sender that stops", async () => {
    const lab = new Lab();
    const counting = assert.rejects(lab.count(), {
      code: "timed-out",
      message: /nothing came for 5 s after 1000 bytes/,
    });
    await lab.send(1_000);
    await lab.clock.advance(5_000);
    await counting;
    assert.equal(lab.clock.now(), 5_000);
  });

  test("gives up on a sender of one byte a minute after 5 s", async () => {
    const lab = new Lab();
    const counting = assert.rejects(lab.count({ maxMs: 600_000 }), { code: "timed-out" });
    await lab.send(1);
    await lab.clock.advance(60_000);
    await counting;
  });

  test("says that a link broke, and keeps the reason", async () => {
    const lab = new Lab();
    const counting = assert.rejects(lab.count(), { code: "link-lost" });
    lab.source.destroy(new Error("ECONNRESET"));
    await counting;
  });

  test("does not wait for a stream that was closed before", async () => {
    const lab = new Lab();
    lab.source.destroy();
    await assert.rejects(lab.count(), { code: "link-lost" });
  });

  test("refuses an empty test", async () => {
    const lab = new Lab();
    lab.source.end();
    await assert.rejects(lab.count(), { code: "bad-reply" });
  });

  test("ends when it is aborted, before and in the middle, and leaves nothing behind", async () => {
    const lab = new Lab();
    const leave = new AbortController();
    const counting = assert.rejects(lab.count({}, leave.signal), { name: "AbortError" });
    await lab.send(10);
    leave.abort();
    await counting;
    await assert.rejects(lab.count({}, leave.signal), { name: "AbortError" });
    assert.deepEqual(getEventListeners(leave.signal, "abort"), []);
    await lab.clock.advance(0);
    assert.equal(lab.clock.sleeperCount, 0);
  });

  test("tells how it goes", async () => {
    const lab = new Lab();
    const told: Counted[] = [];
    const counting = lab.count({ note: (counted) => void told.push(counted) });
    await lab.send(100);
    await lab.clock.advance(500);
    lab.source.end();
    await counting;
    assert.deepEqual(told, [
      { bytes: 100, ms: 250 },
      { bytes: 100, ms: 500 },
      { bytes: 100, ms: 500 },
    ]);
  });

  test("holds nothing of an endless body", async () => {
    const lab = new Lab();
    const before = process.memoryUsage.rss();
    const endless = new Readable({
      read() {
        setImmediate(() => this.push(Buffer.alloc(1_048_576, 1)));
      },
    });
    await meter(endless, { clock: lab.clock, maxBytes: 1e9, maxMs: 10_000 }, never);
    const grown = process.memoryUsage.rss() - before;
    assert.ok(grown < 200 * 1_048_576, `grew by ${grown} bytes`);
  });
});

describe("bytesPerSecond", () => {
  test("is finite for a test that took no time", () => {
    assert.equal(bytesPerSecond({ bytes: 5, ms: 0 }), 5_000);
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly source = new PassThrough();

  count(
    options: { maxBytes?: number; maxMs?: number; note?: (counted: Counted) => void } = {},
    signal: AbortSignal = never,
  ) {
    return meter(this.source, { clock: this.clock, maxBytes: 1e9, maxMs: 10_000, ...options }, signal);
  }

  async send(bytes: number): Promise<void> {
    this.source.write(Buffer.alloc(bytes));
    await this.clock.advance(0);
  }
}
