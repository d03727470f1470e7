/** Every Carrier must pass this: TLS over TCP, the one in memory, and those to come. */

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { systemClock } from "../../src/base/index.ts";
import { type Caller, type Endpoint, Failure, type NodeId } from "../../src/core/index.ts";
import {
  Answering,
  type Carrier,
  type Identity,
  identityFromSeed,
  type Link,
  Network,
  readText,
} from "../../src/network/index.ts";
import { silentLog } from "../../src/base/index.ts";

export interface CarrierWorld {
  carrier(identity: Identity): Carrier;
  /** Where a listener of this world is reached. */
  reach(endpoint: Endpoint): Endpoint;
}

export function carrierContract(name: string, world: () => CarrierWorld): void {
  describe(`${name} is a Carrier`, () => {
    test("proves each end's key to the other", async () => {
      await using pair = await Pair.open(world());
      const reply = await pair.link.request({ method: "GET", path: "/whoami" }, pair.signal);
      assert.equal(pair.link.peer, pair.answerer.id);
      assert.equal(await readText(reply.body, 1_000, pair.signal), pair.asker.id);
    });

    test("refuses a node that has another key than the one that was wanted", async () => {
      await using pair = await Pair.open(world());
      const other = await identityFromSeed(randomBytes(32));
      const target = { id: other.id, endpoints: [pair.endpoint], via: [] };
      await assert.rejects(pair.askers.link(target, pair.signal), { code: "wrong-key" });
    });

    test("learns who answers at an address", async () => {
      await using pair = await Pair.open(world());
      assert.equal((await pair.askers.identify(pair.endpoint, pair.signal)).peer, pair.answerer.id);
    });

    test("says that nothing listens there", async () => {
      await using pair = await Pair.open(world());
      const target = { id: pair.answerer.id, endpoints: [{ ...pair.endpoint, port: 1 }], via: [] };
      await pair.hangUp();
      await assert.rejects(pair.askers.link(target, pair.signal), { code: "unreachable" });
    });

    test("lets a node that dialled out be asked on that link", async () => {
      await using pair = await Pair.open(world());
      await pair.askers.answerOn({ id: pair.answerer.id, endpoints: [pair.endpoint], via: [] }, pair.signal);
      const back = await eventually(() => pair.answerers.existing(pair.asker.id));
      const reply = await back.request({ method: "GET", path: "/whoami" }, pair.signal);
      assert.equal(await readText(reply.body, 1_000, pair.signal), pair.answerer.id);
    });

    test("carries 4 MiB through a tunnel unharmed, both ways", async () => {
      await using pair = await Pair.open(world());
      const tunnel = await pair.link.connect("echo:a/b c", pair.signal);
      const sent = randomBytes(4 * 1024 * 1024);
      tunnel.end(sent);
      assert.ok(Buffer.concat(await tunnel.toArray()).equals(sent));
    });

    test("gives a tunnel's refusal as the failure it is", async () => {
      await using pair = await Pair.open(world());
      await assert.rejects(pair.link.connect("nothing:here", pair.signal), (error) => {
        return error instanceof Failure && error.code === "not-found" && error.message === "no such target";
      });
    });

    test("measures a round trip", async () => {
      await using pair = await Pair.open(world());
      const ms = await pair.link.ping(pair.signal);
      assert.ok(ms > 0 && ms < 1_000, `${ms} ms`);
    });

    test("stops waiting when it is told to", async () => {
      await using pair = await Pair.open(world());
      const stop = new AbortController();
      const asked = pair.link.request({ method: "GET", path: "/never" }, stop.signal);
      stop.abort(new Error("enough"));
      await assert.rejects(asked, /enough/);
      await assert.rejects(pair.link.ping(stop.signal), /enough/);
      const target = { id: pair.answerer.id, endpoints: [pair.endpoint], via: [] };
      await assert.rejects(pair.askers.link(target, stop.signal), /enough/);
      assert.ok(pair.link.open);
    });

    test("fails what runs when the link ends, and says so once", async () => {
      await using pair = await Pair.open(world());
      const asked = pair.link.request({ method: "GET", path: "/never" }, pair.signal);
      pair.answerers.hangUp(pair.asker.id);
      await assert.rejects(asked, { code: "link-lost" });
      await pair.link.ended;
      pair.link.close("again");
      await assert.rejects(pair.link.ping(pair.signal), { code: "link-lost" });
      assert.equal(pair.askers.existing(pair.answerer.id), undefined);
    });

    for (const readers of [1, 64]) {
      test(`holds no more than the cap when ${readers} stop to read, and does not hold up the others`, async () => {
        await using pair = await Pair.open(world());
        const connects = Array.from({ length: readers }, () => pair.link.connect("flood:", pair.signal));
        const stopped = await Promise.all(connects);
        const quick = await pair.link.connect("echo:", pair.signal);
        await settled(() => held(stopped));
        quick.write("still here");
        const [answer] = (await once(quick, "data")) as [Buffer];
        assert.equal(answer.toString(), "still here");
        const bytes = held(stopped);
        assert.ok(bytes > 1024 * 1024, `only ${bytes} bytes came`);
        assert.ok(bytes <= 33 * 1024 * 1024, `${bytes} bytes are held`);
      });
    }
  });
}

function held(streams: readonly Duplex[]): number {
  return streams.reduce((sum, stream) => sum + stream.readableLength, 0);
}

/** Two nodes of a world; the first asks, the second answers. */
class Pair implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly asker: Identity;
  readonly answerer: Identity;
  readonly askers: Network;
  readonly answerers: Network;
  readonly #answerings: readonly Answering[];
  endpoint: Endpoint = { host: "", port: 0 };
  #link: Link | undefined;
  #close: () => PromiseLike<void> = async () => {};

  static async open(world: CarrierWorld): Promise<Pair> {
    const identities = await Promise.all([identityFromSeed(randomBytes(32)), identityFromSeed(randomBytes(32))]);
    const pair = new Pair(world, ...identities);
    const listener = await pair.answerers.listen({ port: 0 }, pair.signal);
    const [endpoint] = listener.endpoints;
    assert.ok(endpoint !== undefined);
    pair.endpoint = world.reach(endpoint);
    pair.#close = () => listener[Symbol.asyncDispose]();
    pair.#link = await pair.askers.link({ id: pair.answerer.id, endpoints: [pair.endpoint], via: [] }, pair.signal);
    return pair;
  }

  private constructor(world: CarrierWorld, asker: Identity, answerer: Identity) {
    this.asker = asker;
    this.answerer = answerer;
    const [a, b] = [answering(), answering()];
    this.#answerings = [a, b];
    this.askers = network(asker, world.carrier(asker), a);
    this.answerers = network(answerer, world.carrier(answerer), b);
  }

  get link(): Link {
    assert.ok(this.#link !== undefined);
    return this.#link;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** The answerer no longer listens, and drops who is there. */
  async hangUp(): Promise<void> {
    await this.#close();
    this.answerers.hangUp(this.asker.id);
    await this.link.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.askers[Symbol.asyncDispose]();
    await this.answerers[Symbol.asyncDispose]();
    for (const each of this.#answerings) await each[Symbol.asyncDispose]();
    await this.#close();
  }
}

function network({ id }: { readonly id: NodeId }, carrier: Carrier, answers: Answering): Network {
  return new Network({
    id,
    carrier,
    answering: answers,
    clock: systemClock,
    log: silentLog,
    isTrusted: () => true,
    isKnown: () => false,
  });
}

/** Answers /whoami with the caller's key, never answers /never; tunnels that echo and that never stop. */
function answering(): Answering {
  const answers = new Answering(systemClock, { isKnown: () => false });
  answers.attach(
    (request, response) => {
      if (request.url === "/never") return;
      response.end(name(answers.callerOf(request)));
    },
    (tunnel) => {
      if (tunnel.target.startsWith("echo:")) {
        const stream = tunnel.accept();
        stream.on("error", () => {}).pipe(stream);
      } else if (tunnel.target === "flood:") flood(tunnel.accept());
      else tunnel.refuse(new Failure("not-found", "no such target"));
    },
  );
  return answers;
}

function flood(stream: Duplex): void {
  const chunk = Buffer.alloc(64 * 1024);
  const more = () => {
    while (!stream.destroyed && stream.write(chunk));
  };
  stream.on("drain", more).on("error", () => {});
  more();
}

function name(caller: Caller): string {
  return caller.kind === "node" ? caller.id : caller.kind;
}

async function eventually<T>(look: () => T | undefined): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("it did not come about within 2 s");
}

/** Waits until `measure` stays the same for 300 ms, at most 10 s. */
async function settled(measure: () => number): Promise<void> {
  let last = -1;
  for (let tries = 0; tries < 33 && last !== measure(); tries++) {
    last = measure();
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
}
