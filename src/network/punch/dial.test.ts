import assert from "node:assert/strict";
import { type Duplex, duplexPair } from "node:stream";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { systemRandom } from "../../base/index.ts";
import { nodeIdFromPublicKey } from "../../core/index.ts";
import { punch } from "./dial.ts";
import type { Dht, Handshake, SecretStream } from "./engine.ts";
import { beGreeted } from "./greeting.ts";

describe("punch", () => {
  test("tries once more without the fast way when it opened and nobody was there", async () => {
    const lab = new Lab(["silence", "node"]);
    const dialled = lab.punch();
    await lab.clock.advance(5_000);
    const { peer, path } = await dialled;
    assert.deepEqual([peer, path], [lab.target.id, { kind: "punched", remote: "198.51.100.7:9000" }]);
    assert.deepEqual(lab.fastOpen, [true, false]);
    assert.ok(lab.streams[0]?.destroyed);
  });

  test("tries once more after a rest when the hole could not be punched, and says so when it cannot again", async () => {
    const lab = new Lab([refusal("HOLEPUNCH_ABORTED"), refusal("REMOTE_NOT_HOLEPUNCHABLE")]);
    const failed = assert.rejects(lab.punch(), { code: "unreachable", message: "the hole could not be punched" });
    await lab.clock.advance(2_499);
    assert.deepEqual(lab.fastOpen, [true]);
    await lab.clock.advance(1);
    await failed;
    assert.deepEqual(lab.fastOpen, [true, false]);
  });

  test("does not try again what cannot come about", async () => {
    const lab = new Lab([refusal("HOLEPUNCH_DOUBLE_RANDOMIZED_NATS"), "node"]);
    await assert.rejects(lab.punch(), { code: "unreachable", message: /both NATs are symmetric/ });
    assert.deepEqual(lab.fastOpen, [true]);
  });

  test("gives up after 50 s", async () => {
    const lab = new Lab(["nothing"]);
    const late = assert.rejects(lab.punch(), { code: "timed-out" });
    await lab.clock.advance(50_000);
    await late;
    assert.ok(lab.streams[0]?.destroyed);
  });

  test("ends with the reason of its signal, before it opened and after", async () => {
    for (const [world, times] of [["nothing", 1] as const, ["silence", 1] as const]) {
      const lab = new Lab([world]);
      const aborted = assert.rejects(lab.punch(), /enough/);
      await lab.clock.advance(0);
      lab.stop.abort(new Error("enough"));
      await aborted;
      assert.equal(lab.streams.length, times);
      assert.ok(lab.streams[0]?.destroyed);
      assert.equal(lab.clock.sleeperCount, 0);
    }
  });
});

type World = "node" | "silence" | "nothing" | Error;

function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}

/** A DHT that does at each dial what it was told to. */
class Lab {
  readonly clock = new VirtualClock();
  readonly stop = new AbortController();
  readonly fastOpen: unknown[] = [];
  readonly streams: Duplex[] = [];
  readonly target = { id: nodeIdFromPublicKey(Buffer.alloc(32, 3)), publicKey: Buffer.alloc(32, 3), asks: true };
  readonly #worlds: World[];

  constructor(worlds: World[]) {
    this.#worlds = worlds;
  }

  punch() {
    const dht = { connect: (_key: Buffer, options: { fastOpen: boolean }) => this.#connect(options) };
    const createHandshake = () => ({}) as Handshake;
    const { clock } = this;
    return punch(
      { dht: dht as unknown as Dht, createHandshake, mayReach: () => true, clock, random: systemRandom },
      this.target,
      this.stop.signal,
    );
  }

  #connect({ fastOpen }: { readonly fastOpen: boolean }): Duplex {
    this.fastOpen.push(fastOpen);
    const [near, far] = duplexPair();
    this.streams.push(near);
    Object.assign(near, { rawStream: { remoteHost: "198.51.100.7", remotePort: 9000 } });
    const world = this.#worlds.shift() ?? "nothing";
    if (world instanceof Error) setImmediate(() => near.destroy(world));
    else if (world !== "nothing") setImmediate(() => near.emit("open"));
    const deps = { clock: this.clock, random: systemRandom };
    if (world === "node") void beGreeted(far as unknown as SecretStream, deps, this.stop.signal);
    return near;
  }
}
