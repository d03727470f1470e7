import assert from "node:assert/strict";
import { duplexPair } from "node:stream";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { fakeId } from "../../../test/support/fake-link.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { silentLog, systemClock } from "../../base/index.ts";
import type { Caller } from "../../core/index.ts";
import { identityFromSeed, InnerTls, type Pipe } from "../../network/index.ts";
import { Arrivals } from "./arrivals.ts";

const relay: Caller = { kind: "node", id: fakeId(1), remote: "192.0.2.1:1" };
const other: Caller = { kind: "node", id: fakeId(2), remote: "192.0.2.2:1" };

describe("a node behind a relay", () => {
  test("takes in who comes through a relay that it chose, by the key that he shows inside", async () => {
    await using lab = await Lab.open();
    const guest = await identityFromSeed(randomBytes(32));
    const inner = new InnerTls({ identity: guest, clock: lab.clock });
    const stream = await lab.arrive(relay);
    const pipe = await inner.dial(stream, { expect: lab.id, via: fakeId(1), remote: "via garage" }, lab.signal);
    assert.equal(pipe.peer, lab.id);
    await lab.until(() => lab.taken.length === 1);
    const [taken] = lab.taken;
    assert.deepEqual([taken?.peer, taken?.asks, taken?.path.kind], [guest.id, false, "relayed"]);
    assert.equal(taken?.path.remote, `via ${fakeId(1)}`);
  });

  test("sends away who comes through anybody else", async () => {
    await using lab = await Lab.open();
    await assert.rejects(lab.arrive(other), { code: "not-allowed", message: /did not choose you as its relay/ });
    await assert.rejects(lab.arrive({ kind: "local" }), { code: "not-allowed" });
    await assert.rejects(lab.arrive({ kind: "anonymous", remote: "192.0.2.1:1" }), { code: "not-allowed" });
  });

  test("tells its relay whom it knows", async () => {
    await using lab = await Lab.open();
    await lab.arrive(relay, { kind: "arrive-known", asker: fakeId(3) });
    for (const asker of [fakeId(4), "", "x"])
      await assert.rejects(lab.arrive(relay, { kind: "arrive-known", asker }), { code: "not-allowed" });
    await assert.rejects(lab.arrive(other, { kind: "arrive-known", asker: fakeId(3) }), { code: "not-allowed" });
  });

  test("lets in as known a few who may have an invite, while one is out", async () => {
    await using lab = await Lab.open();
    const come = (asker: number) => lab.arrive(relay, { kind: "arrive-known", asker: fakeId(asker) });
    await assert.rejects(come(10), { code: "not-allowed" });
    lab.expects = true;
    for (let asker = 10; asker < 14; asker++) await come(asker);
    await assert.rejects(come(14), { code: "not-allowed" });
    await come(3); // whom it knows
  });

  test("ends one who opens and never speaks", async () => {
    await using lab = await Lab.open();
    const stream = await lab.arrive(relay);
    await lab.clock.advance(9_000);
    assert.equal(stream.destroyed, false);
    await lab.clock.advance(1_000);
    await lab.until(() => stream.destroyed);
    assert.equal(lab.taken.length, 0);
  });

  test("ends one who speaks something else", async () => {
    await using lab = await Lab.open();
    const stream = await lab.arrive(relay);
    stream.write("GET / HTTP/1.1\r\n\r\n");
    stream.resume();
    await lab.until(() => stream.destroyed);
  });

  test("lets few handshakes go on at once: the oldest makes room", async () => {
    await using lab = await Lab.open({ maxHandshakesPerRelay: 2 });
    const [first, second, third] = [await lab.arrive(relay), await lab.arrive(relay), await lab.arrive(relay)];
    await lab.until(() => first.destroyed);
    assert.deepEqual([second.destroyed, third.destroyed], [false, false]);
  });

  test("lets no asker interrupt another: his own oldest makes room", async () => {
    await using lab = await Lab.open();
    const quiet = await lab.arrive(relay, { asker: fakeId(5) });
    const first = await lab.arrive(relay, { asker: fakeId(6) });
    for (let come = 0; come < 40; come++) await lab.arrive(relay, { asker: fakeId(6) });
    await lab.until(() => first.destroyed);
    assert.equal(quiet.destroyed, false);
  });

  test("lets no stranger interrupt somebody known, however many there are", async () => {
    await using lab = await Lab.open();
    const friend = await lab.arrive(relay, { asker: fakeId(3) });
    const first = await lab.arrive(relay, { asker: fakeId(100) });
    for (let key = 101; key < 140; key++) await lab.arrive(relay, { asker: fakeId(key) });
    await lab.until(() => first.destroyed);
    assert.equal(friend.destroyed, false);
  });

  test("gives the place of somebody known to nobody else, whatever the relay says", async () => {
    await using lab = await Lab.open();
    const stranger = await identityFromSeed(randomBytes(32));
    const inner = new InnerTls({ identity: stranger, clock: lab.clock });
    const stream = await lab.arrive(relay, { kind: "arrive-known", asker: fakeId(3) });
    await inner.dial(stream, { expect: lab.id, via: fakeId(1), remote: "via garage" }, lab.signal);
    await lab.until(() => stream.destroyed);
    assert.equal(lab.taken.length, 0);
  });

  test("keeps half of the places for those whom it knows", async () => {
    await using lab = await Lab.open({ max: 4 });
    for (const key of [100, 101]) await lab.arrive(relay, { asker: fakeId(key) });
    await assert.rejects(lab.arrive(relay, { asker: fakeId(102) }), { code: "busy" });
    for (let come = 0; come < 2; come++) await lab.arrive(relay, { asker: fakeId(3) });
    await assert.rejects(lab.arrive(relay, { asker: fakeId(3) }), { code: "busy" });
  });

  test("lets few be here through relays at once", async () => {
    await using lab = await Lab.open({ max: 1 });
    const stream = await lab.arrive(relay);
    await assert.rejects(lab.arrive(relay), { code: "busy" });
    stream.destroy();
    await lab.until(() => lab.open === 0);
    await lab.arrive(relay);
  });
});

class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly signal = new AbortController().signal;
  readonly taken: Pipe[] = [];
  readonly id;
  readonly #arrivals: Arrivals;
  open = 0;
  expects = false;

  static async open({ max, ...inner }: { readonly max?: number; readonly maxHandshakesPerRelay?: number } = {}) {
    return new Lab(await identityFromSeed(randomBytes(32)), { max, inner });
  }

  private constructor(
    identity: Awaited<ReturnType<typeof identityFromSeed>>,
    { max, inner }: { readonly max: number | undefined; readonly inner: { readonly maxHandshakesPerRelay?: number } },
  ) {
    this.id = identity.id;
    this.#arrivals = new Arrivals(
      {
        inner: new InnerTls({ identity, clock: this.clock }, inner),
        mayBring: (id) => id === fakeId(1),
        isKnown: (id) => id === fakeId(3),
        expects: () => this.expects,
        take: (pipe) => void this.taken.push(pipe),
        log: silentLog,
      },
      max === undefined ? {} : { max },
    );
  }

  /** The other end of a stream on which somebody arrives. */
  async arrive(caller: Caller, { kind = "arrive", asker = "" } = {}) {
    const row = this.#arrivals.tunnels.find((each) => each.kind === kind);
    assert.ok(row !== undefined);
    const carry = await row.open(asker, caller);
    const [near, far] = duplexPair();
    this.open++;
    near.once("close", () => {
      this.open--;
      far.destroy();
    });
    far.once("close", () => near.destroy());
    for (const end of [near, far]) end.on("error", () => undefined);
    carry(near);
    return far;
  }

  async until(isSo: () => boolean): Promise<void> {
    for (let tries = 0; !isSo(); tries++) {
      assert.ok(tries < 500, "it did not come about");
      await systemClock.sleep(5, this.signal);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#arrivals[Symbol.asyncDispose]();
  }
}
