import assert from "node:assert/strict";
import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { systemRandom } from "../../base/index.ts";
import type { SecretStream } from "./engine.ts";
import { beGreeted, greet } from "./greeting.ts";

describe("the greeting", () => {
  for (const asks of [true, false]) {
    test(`leads to a pipe at both ends, where the dialler ${asks ? "asks" : "answers"}`, async () => {
      const lab = new Lab();
      const [dialler, listener] = await Promise.all([lab.greet(asks), lab.beGreeted()]);
      assert.deepEqual([dialler.asks, listener.asks], [asks, !asks]);
      dialler.duplex.write("hello");
      assert.equal(String((await once(listener.duplex, "data"))[0]), "hello");
      assert.equal(listener.bytesRead(), 5);
    });
  }

  test("loses nothing that follows the last word at once, nor takes it for a part of the greeting", async () => {
    const lab = new Lab();
    const listener = lab.beGreeted();
    const replied = once(lab.near, "data");
    lab.near.write(hello(1, 7));
    const [reply] = (await replied) as [Buffer];
    lab.near.write(Buffer.concat([reply.subarray(0, 32), Buffer.from("PRI * HTTP/2.0")]));
    const { duplex } = await listener;
    assert.equal(String((await once(duplex, "data"))[0]), "PRI * HTTP/2.0");
  });

  test("hands nothing over to who repeats an old greeting: it has a nonce of another time", async () => {
    const lab = new Lab();
    const ghost = assert.rejects(lab.beGreeted(), { code: "unreachable", message: /no p2prc node of this network/ });
    lab.near.write(hello(1, 7));
    lab.near.write(Buffer.alloc(32, 9)); // the echo that was right in another greeting
    await ghost;
    assert.ok(lab.far.destroyed);
  });

  test("gives up on an answer with another nonce than its own", async () => {
    const lab = new Lab();
    const dialler = assert.rejects(lab.greet(true), { code: "unreachable" });
    lab.far.write(Buffer.alloc(64, 3));
    await dialler;
    assert.ok(lab.near.destroyed);
  });

  for (const side of ["dialler", "listener"] as const) {
    test(`ends after 5 s where nobody speaks to the ${side}`, async () => {
      const lab = new Lab();
      const greeted = side === "dialler" ? lab.greet(true) : lab.beGreeted();
      const late = assert.rejects(greeted, { code: "unreachable", message: /nobody spoke within 5 s/ });
      await lab.clock.advance(4_999);
      assert.ok(!(side === "dialler" ? lab.near : lab.far).destroyed);
      await lab.clock.advance(1);
      await late;
      assert.ok((side === "dialler" ? lab.near : lab.far).destroyed);
    });
  }

  test("ends when the stream closes before, or has closed already", async () => {
    const lab = new Lab();
    const closed = assert.rejects(lab.beGreeted(), { code: "unreachable", message: /closed again/ });
    lab.far.destroy();
    await closed;
    await assert.rejects(lab.beGreeted(), { code: "unreachable", message: /closed again/ });
  });

  test("ends with the reason of its signal", async () => {
    const lab = new Lab();
    const aborted = assert.rejects(lab.greet(true), /enough/);
    lab.stop.abort(new Error("enough"));
    await aborted;
    assert.ok(lab.near.destroyed);
    assert.equal(lab.clock.sleeperCount, 0);
  });

  test("takes nothing else for a greeting", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 47, maxLength: 200 }), async (bytes) => {
        const lab = new Lab();
        lab.near.write(bytes);
        await assert.rejects(lab.beGreeted(), { code: "unreachable" });
      }),
      { numRuns: 50 },
    );
    const lab = new Lab();
    lab.near.write(hello(3, 7));
    await assert.rejects(lab.beGreeted(), { code: "unreachable" });
  });
});

function hello(role: number, nonce: number): Buffer {
  return Buffer.concat([Buffer.from("p2prc punch 1\n"), Buffer.of(role), Buffer.alloc(32, nonce)]);
}

/** A stream in memory between two ends, and a clock that stands still. */
class Lab {
  readonly clock = new VirtualClock();
  readonly stop = new AbortController();
  readonly near: Duplex;
  readonly far: Duplex;

  constructor() {
    [this.near, this.far] = duplexPair();
  }

  greet(asks: boolean) {
    return greet(secret(this.near), { ...this.#deps, asks }, this.stop.signal);
  }

  beGreeted() {
    return beGreeted(secret(this.far), this.#deps, this.stop.signal);
  }

  get #deps() {
    return { clock: this.clock, random: systemRandom };
  }
}

function secret(duplex: Duplex): SecretStream {
  return duplex as unknown as SecretStream;
}
