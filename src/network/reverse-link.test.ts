import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import { MemoryInternet } from "../../test/lab/memory/memory-internet.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Scope, silentLog } from "../base/index.ts";
import { Answering } from "./answering.ts";
import { type Identity, identityFromSeed } from "./identity.ts";
import { Network } from "./network.ts";

describe("a reverse link", { timeout: 20_000 }, () => {
  test("is noticed to be silent within 8 s by whoever dialled, though it carries nothing, and to be dead within 15", async () => {
    await using lab = await Lab.open();
    const { link, asking } = await lab.dial();
    asking.keep();
    await lab.pass(120);
    assert.equal(lab.ended, false);
    const told: boolean[] = [];
    link.silences.on((isSilent) => told.push(isSilent));
    lab.internet.silence("192.0.2.1");
    await lab.pass(8);
    assert.deepEqual([told, lab.ended], [[true], false]);
    await lab.pass(7);
    assert.ok(lab.ended);
    await link.ended;
  });

  test("is watched no closer for a link inside that is idle, but for anything else", async () => {
    for (const { target, closely } of [
      { target: "arrive:barn", closely: false },
      { target: "port:8080", closely: true },
    ]) {
      await using lab = await Lab.open();
      const { asking } = await lab.dial();
      const stream = await asking.connect(target, new AbortController().signal);
      stream.on("error", () => undefined);
      await lab.pass(60);
      lab.internet.silence("192.0.2.1");
      await lab.pass(16);
      assert.equal(asking.open, !closely, target);
      await lab.pass(44);
      assert.equal(asking.open, false, target);
    }
  });

  test("ends on both sides when whoever dialled closes it", async () => {
    await using lab = await Lab.open();
    const { link, asking } = await lab.dial();
    link.close();
    await Promise.all([link.ended, asking.ended]);
  });
});

/** attic, which nobody can dial, and garage, in memory and virtual time. */
class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly internet = new MemoryInternet();
  readonly #scope = new Scope();
  readonly #garage: { readonly identity: Identity; readonly network: Network };
  readonly #attic: Network;
  ended = false;

  static async open(): Promise<Lab> {
    return new Lab(await identityFromSeed(randomBytes(32)), await identityFromSeed(randomBytes(32)));
  }

  private constructor(attic: Identity, garage: Identity) {
    this.#attic = this.#network(attic, "192.0.2.9");
    this.#garage = { identity: garage, network: this.#network(garage, "192.0.2.1") };
  }

  /** The link as attic has it, and as garage does. */
  async dial() {
    const { network, identity } = this.#garage;
    const { signal } = this.#scope;
    this.#scope.own(await network.listen({ port: 8088 }, signal));
    const endpoints = [{ host: "192.0.2.1", port: 8088 }];
    const link = await this.#attic.answerOn({ id: identity.id, endpoints, via: [] }, signal);
    void link.ended.then(() => {
      this.ended = true;
    });
    await settle();
    const [asking] = network.links;
    assert.ok(asking);
    return { link, asking };
  }

  async pass(seconds: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      await this.clock.advance(1_000);
      await settle();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.close();
  }

  #network({ id }: Identity, host: string): Network {
    const { clock } = this;
    const answering = this.#scope.own(new Answering(clock, { isKnown: () => true }));
    answering.attach(
      () => undefined,
      (tunnel) => void tunnel.accept(),
    );
    const carrier = this.internet.carrier(id, host);
    const isKnown = () => true;
    const deps = { id, carrier, answering, clock, log: silentLog, isTrusted: () => true, isKnown };
    return this.#scope.own(new Network(deps));
  }
}

/** What is under way in memory arrives. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve));
}
