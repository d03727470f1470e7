import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { fakeId } from "../../../test/support/fake-link.ts";
import { defaultQuotas, Quotas } from "./quotas.ts";

const [ada, bob, eve] = [fakeId(1), fakeId(2), fakeId(3)];
const small = { bytesPerSecond: 1_000, bytesPerDay: 10_000, streams: 2, bytesPerStream: 4_000, msPerStream: 60_000 };
const DAY_MS = 86_400_000;

describe("the quotas of a relay", () => {
  test("let so many streams of one stranger be open at once", () => {
    const quotas = new Quotas(new VirtualClock(), { ranks: { stranger: small } });
    const first = quotas.open({ id: ada, rank: "stranger" });
    quotas.open({ id: ada, rank: "stranger" });
    assert.throws(() => quotas.open({ id: ada, rank: "stranger" }), {
      code: "busy",
      message: /2 links are passed on for you already/,
    });
    quotas.open({ id: bob, rank: "stranger" });
    first.end();
    first.end(); // twice is once
    quotas.open({ id: ada, rank: "stranger" });
    assert.throws(() => quotas.open({ id: ada, rank: "stranger" }), { code: "busy" });
  });

  test("break a stream that has had its bytes", () => {
    const stream = new Quotas(new VirtualClock(), { ranks: { stranger: small } }).open({ id: ada, rank: "stranger" });
    stream.spend(4_000);
    assert.deepEqual(stream.spend(1), { kind: "over", limit: { what: "bytes", whose: "stranger", limit: 4_000 } });
  });

  test("hold a node to its bytes a second, over all its streams, after a second's worth at once", async () => {
    const clock = new VirtualClock();
    const quotas = new Quotas(clock, { ranks: { stranger: small } });
    const [one, two] = [quotas.open({ id: ada, rank: "stranger" }), quotas.open({ id: ada, rank: "stranger" })];
    await clock.advance(5_000);
    assert.deepEqual([one.spend(1_000), two.spend(500), one.spend(500)], [after(0), after(500), after(1_000)]);
    await clock.advance(1_000);
    assert.deepEqual(two.spend(100), after(100));
  });

  test("hold a node to its bytes a day, and begin anew the next day", async () => {
    const clock = new VirtualClock();
    const quotas = new Quotas(clock, { ranks: { stranger: { ...small, bytesPerStream: 1e9 } } });
    const stream = quotas.open({ id: ada, rank: "stranger" });
    stream.spend(10_000);
    assert.deepEqual(stream.spend(1), { kind: "over", limit: { what: "day", whose: "stranger", limit: 10_000 } });
    assert.throws(() => quotas.open({ id: ada, rank: "stranger" }), {
      code: "too-often",
      message: /were passed on for you today/,
    });
    await clock.advance(DAY_MS);
    quotas.open({ id: ada, rank: "stranger" }).spend(10_000);
  });

  test("give many strangers together no more than a few", () => {
    const quotas = new Quotas(new VirtualClock(), { strangers: { streams: 2, bytesPerDay: 5_000 } });
    quotas.open({ id: ada, rank: "stranger" }).spend(5_000);
    assert.throws(() => quotas.open({ id: bob, rank: "stranger" }), { code: "too-often" });
    const other = new Quotas(new VirtualClock(), { strangers: { streams: 2 } });
    other.open({ id: ada, rank: "stranger" });
    other.open({ id: bob, rank: "stranger" });
    assert.throws(() => other.open({ id: eve, rank: "stranger" }), {
      code: "busy",
      message: /by this relay for strangers/,
    });
    other.open({ id: eve, rank: "guest" });
  });

  test("give strangers at one address as much as four of them, whatever their keys", () => {
    const quotas = new Quotas(new VirtualClock(), { ranks: { stranger: small } });
    const from = (group: string | undefined, number: number) =>
      quotas.open({ id: fakeId(number), rank: "stranger", group });
    for (let number = 1; number <= 8; number++) from("192.0.2.1", number);
    assert.throws(() => from("192.0.2.1", 9), { code: "busy", message: /8 links are passed on for your address/ });
    from("192.0.2.2", 9);
    from(undefined, 10);
    quotas.open({ id: fakeId(11), rank: "guest", group: "192.0.2.1" });
  });

  test("give guests and strangers together no more than the shared account", () => {
    const quotas = new Quotas(new VirtualClock(), { shared: { streams: 2 } });
    quotas.open({ id: ada, rank: "stranger" });
    quotas.open({ id: bob, rank: "guest" });
    assert.throws(() => quotas.open({ id: eve, rank: "guest" }), { code: "busy" });
    quotas.open({ id: eve, rank: "trusted" });
  });

  test("hold own nodes and friends to nothing but a count of streams", () => {
    const quotas = new Quotas(new VirtualClock());
    const stream = quotas.open({ id: ada, rank: "trusted" });
    assert.deepEqual([stream.msLeft, stream.spend(1e12)], [Number.POSITIVE_INFINITY, after(0)]);
    for (let more = 1; more < defaultQuotas.trusted.streams; more++) quotas.open({ id: ada, rank: "trusted" });
    assert.throws(() => quotas.open({ id: ada, rank: "trusted" }), { code: "busy" });
  });

  test("give a stranger two minutes and half a MiB at a time, unless told otherwise", () => {
    const stream = new Quotas(new VirtualClock()).open({ id: ada, rank: "stranger" });
    assert.equal(stream.msLeft, 120_000);
    stream.spend(512 * 1024);
    assert.deepEqual(stream.spend(1), { kind: "over", limit: { what: "bytes", whose: "stranger", limit: 524_288 } });
    assert.deepEqual(stream.timeLimit, { what: "time", whose: "stranger", limit: 120_000 });
  });
});

function after(ms: number) {
  return { kind: "after", ms };
}
