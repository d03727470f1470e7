import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { Scope, silentLog, systemClock } from "../base/index.ts";
import { type Endpoint, Failure, type NodeId } from "../core/index.ts";
import { MemoryInternet } from "../../test/lab/memory/memory-internet.ts";
import { Answering } from "./answering.ts";
import type { Carrier } from "./carrier.ts";
import type { Lookup } from "./host-names.ts";
import { identityFromSeed } from "./identity.ts";
import type { Link, PathKind } from "./link.ts";
import { Network, type NetworkDeps } from "./network.ts";
import { TcpCarrier } from "./tcp-carrier.ts";

const never = new AbortController().signal;

describe("what a person hears of an address where no node is", () => {
  for (const banner of ["HTTP/1.1 400 Bad Request\r\n\r\n", "SSH-2.0-OpenSSH_9.9\r\n"]) {
    test(`is one clean line when "${banner.slice(0, 8)}" answers`, async () => {
      await using server = createServer(
        (socket) =>
          void socket
            .on("error", () => {})
            .resume()
            .end(banner),
      );
      await once(server.listen(0, "127.0.0.1"), "listening");
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const { message } = await failureAt({ host: "127.0.0.1", port: address.port });
      assert.equal(message, "no p2prc node answers there: what answers does not speak TLS");
    });
  }

  test("is that the name does not resolve, and what to do", async () => {
    const host = "x".repeat(64); // longer than a label may be: no resolver sends that anywhere
    const { message, hint } = await failureAt({ host, port: 8088 });
    assert.equal(message, `the name "${host}" does not resolve to an address`);
    assert.match(hint ?? "", /spelling.*IP address/);
  });
});

test("a name that does not resolve is among the attempts, and keeps nobody from the other ways", async () => {
  await using lab = await Lab.open();
  const id = (await identityFromSeed(randomBytes(32))).id;
  const endpoints = [
    { host: "x".repeat(64), port: 8088 },
    { host: "127.0.0.1", port: 1 },
  ];
  await assert.rejects(lab.network.link({ id, endpoints, via: [] }, never), {
    message: /nothing listens there; the name "x+" does not resolve/,
  });
  assert.deepEqual(
    lab.network.attempts(id).map(({ address }) => address.slice(0, 5)),
    ["127.0", "xxxxx"],
  );
});

test("a name server that is silent delays nobody whose address is known, and lets go of who leaves", async () => {
  const asked: string[] = [];
  const lookup = (host: string) => {
    asked.push(host);
    return new Promise<never>(() => undefined);
  };
  await using there = await Lab.open();
  await using listener = await there.network.listen({ hosts: ["127.0.0.1"], port: 0 }, never);
  await using lab = await Lab.open({ lookup });
  const names = ["a.example", "b.example", "c.example"].map((host) => ({ host, port: 8088 }));
  const link = await lab.network.link({ id: there.id, endpoints: [...names, ...listener.endpoints], via: [] }, never);
  assert.equal(link.peer, there.id);
  const leaving = new AbortController();
  const identifying = lab.network.identify({ host: "a.example", port: 1 }, leaving.signal);
  setImmediate(() => leaving.abort());
  await assert.rejects(identifying, { name: "AbortError" });
  assert.deepEqual(asked, ["a.example"]);
});

test("a name that resolves leads there", async () => {
  await using there = await Lab.open();
  await using listener = await there.network.listen({ hosts: ["127.0.0.1"], port: 0 }, never);
  await using lab = await Lab.open({ lookup: async () => ["127.0.0.1"] });
  const endpoints = listener.endpoints.map(({ port }) => ({ host: "attic.example", port }));
  assert.equal((await lab.network.link({ id: there.id, endpoints, via: [] }, never)).peer, there.id);
});

test("a passage leads to a node that no address leads to, and is among the attempts", async () => {
  const internet = new MemoryInternet();
  await using there = await Lab.open();
  const carrier = internet.carrier(there.id, "192.0.2.7");
  await using listener = await carrier.listen((pipe) => there.network.take(pipe), { port: 8088 }, never);
  await using lab = await Lab.open();
  const [endpoint] = listener.endpoints;
  assert.ok(endpoint);
  const open = (signal: AbortSignal) =>
    internet.carrier(lab.id, "192.0.2.1").dial({ endpoint, expect: there.id, asks: true }, signal);
  const passage = lab.network.addPassage({
    ways: () => [{ kind: "punched", address: "by punching", delayMs: 300, open }],
  });
  const target = { id: there.id, endpoints: [{ host: "127.0.0.1", port: 1 }], via: [] };
  const link = await lab.network.link(target, never);
  assert.ok((await link.ping(never)) >= 0);
  assert.deepEqual(
    lab.network.attempts(there.id).map(({ path, outcome }) => `${path} ${outcome}`),
    ["tcp4 unreachable", "memory open"],
  );
  passage[Symbol.dispose]();
  link.close("enough");
  await link.ended;
  await assert.rejects(lab.network.link(target, never), { code: "unreachable" });
});

describe("a node that is reached through another one", () => {
  test("is reached directly as soon as that works, by new streams alone", async () => {
    await using world = await Roundabout.open();
    const first = await world.link();
    assert.equal(first.path.kind, "relayed");
    await world.open();
    await eventually(async () => assert.equal((await world.link()).path.kind, "tcp4"));
    assert.ok((await first.ping(never)) >= 0, "what ran on the first path goes on there");
    const [relayed] = world.near.network.attempts(world.far.id).filter(({ path }) => path === "relayed");
    assert.equal(relayed?.reason, "left for the tcp4 path");
  });

  test("is said to be reached so at once, though other ways are still tried", async () => {
    const askUnverified = (_link: Link, _known: readonly Endpoint[], signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
    await using world = await Roundabout.open({
      askUnverified,
      askBack: async () => {
        await world.far.network.answerOn({ id: world.near.id, endpoints: world.back, via: [] }, never);
      },
    });
    assert.equal((await world.link()).path.kind, "relayed");
    await eventually(async () => {
      const [relayed] = world.near.network.attempts(world.far.id).filter(({ path }) => path === "relayed");
      assert.equal(relayed?.reason, "left for the tcp4 path");
    });
  });

  test("is reached so again within five seconds after the direct path died", async () => {
    await using world = await Roundabout.open();
    await world.open();
    assert.equal((await world.link()).path.kind, "tcp4");
    world.internet.silence(DIRECT);
    const before = systemClock.now();
    const [link, other] = await Promise.all([world.link(), world.link()]);
    assert.deepEqual([link.path.kind, other], ["relayed", link]);
    assert.ok((await link.ping(never)) >= 0);
    assert.ok(systemClock.now() - before < 5_000);
  });

  test("is asked to dial back, where this one can be dialled", async () => {
    const asked: string[] = [];
    await using world = await Roundabout.open({
      askBack: async (link) => {
        asked.push(link.path.kind);
        await world.far.network.answerOn({ id: world.near.id, endpoints: world.back, via: [] }, never);
      },
    });
    assert.equal((await world.link()).path.kind, "relayed");
    await eventually(async () => assert.equal((await world.link()).path.kind, "tcp4"));
    assert.deepEqual(asked, ["relayed"]);
  });

  test("is dialled where it says itself that it may be, and that alone proves its key", async () => {
    const known: (readonly Endpoint[])[] = [];
    const told = [
      { host: NEAR, port: 8088 }, // another node
      { host: DIRECT, port: 9_000 },
    ];
    await using world = await Roundabout.open({
      askUnverified: async (_link, endpoints) => {
        known.push(endpoints);
        return told;
      },
    });
    await world.open(9_000);
    assert.equal((await world.link()).path.kind, "relayed");
    await eventually(async () => assert.equal((await world.link()).path.kind, "tcp4"));
    assert.deepEqual(known, [[{ host: DIRECT, port: 8088 }]]);
    const attempts = world.near.network.attempts(world.far.id).map(({ address, outcome }) => `${address} ${outcome}`);
    assert.ok(attempts.includes(`${DIRECT}:9000 open`), attempts.join());
    assert.ok(!attempts.includes(`${NEAR}:8088 open`), attempts.join());
  });
});

test("who asks after the last one gave up gets a race of his own", async () => {
  let dials = 0;
  const dial = (_request: unknown, signal: AbortSignal) => {
    if (++dials === 2) return Promise.reject(new Failure("unreachable", "nobody there"));
    const slow = (reject: (error: unknown) => void) => systemClock.sleep(50, never).then(() => reject(signal.reason));
    return new Promise<never>((_, reject) => signal.addEventListener("abort", () => void slow(reject)));
  };
  await using lab = await Lab.open({ dial });
  const target = {
    id: (await identityFromSeed(randomBytes(32))).id,
    endpoints: [{ host: "127.0.0.1", port: 1 }],
    via: [],
  };
  const leaving = new AbortController();
  const first = lab.network.link(target, leaving.signal);
  setImmediate(() => leaving.abort());
  await assert.rejects(first, { name: "AbortError" });
  await assert.rejects(lab.network.link(target, never), { code: "unreachable", message: "nobody there" });
});

async function failureAt(endpoint: Endpoint): Promise<Failure> {
  await using lab = await Lab.open();
  const failure = await lab.network.identify(endpoint, never).catch((error: unknown) => error);
  assert.ok(failure instanceof Failure && failure.code === "unreachable");
  return failure;
}

type Asking = Pick<NetworkDeps, "askBack" | "askUnverified">;

interface LabOptions extends Asking {
  readonly lookup?: Lookup;
  readonly dial?: Carrier["dial"];
  readonly carry?: (id: NodeId) => Carrier;
}

/** A node that dials. */
class Lab implements AsyncDisposable {
  readonly id: NodeId;
  readonly network: Network;
  readonly #answering: Answering;

  static async open({ lookup, dial, carry, ...asking }: LabOptions = {}): Promise<Lab> {
    const identity = await identityFromSeed(randomBytes(32));
    const isTrusted = () => true;
    const answering = new Answering(systemClock, { isKnown: () => false });
    const tcp = new TcpCarrier({ identity, clock: systemClock, isTrusted });
    const listen: Carrier["listen"] = (...all) => tcp.listen(...all);
    const carrier = carry?.(identity.id) ?? (dial === undefined ? tcp : { dial, listen });
    const more = { ...(lookup === undefined ? {} : { lookup }), ...asking };
    const deps = { ...more, id: identity.id, carrier, answering, clock: systemClock, log: silentLog, isTrusted };
    return new Lab(identity.id, new Network({ ...deps, isKnown: () => false }), answering);
  }

  private constructor(id: NodeId, network: Network, answering: Answering) {
    this.id = id;
    this.network = network;
    this.#answering = answering;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
    await this.#answering[Symbol.asyncDispose]();
  }
}

const NEAR = "192.0.2.1";
const DIRECT = "192.0.2.7";
const AROUND = "192.0.2.9";

/** Two nodes in memory. `far` is reached around; directly only once it is opened there. */
class Roundabout implements AsyncDisposable {
  readonly internet: MemoryInternet;
  readonly near: Lab;
  readonly far: Lab;
  /** Where `near` can be dialled. */
  readonly back: readonly Endpoint[];
  readonly #scope = new Scope();

  static async open(asking: Asking = {}): Promise<Roundabout> {
    const internet = new MemoryInternet();
    const carry = (host: string) => (id: NodeId) => labelled(internet.carrier(id, host), "tcp4");
    const far = await Lab.open({ carry: carry(DIRECT) });
    const near = await Lab.open({ carry: carry(NEAR), ...asking });
    const around = await internet.carrier(far.id, AROUND).listen((pipe) => far.network.take(pipe), { port: 1 }, never);
    const back = await near.network.listen({ port: 8088 }, never);
    return new Roundabout({ internet, near, far, back: back.endpoints }, [near, far, around, back]);
  }

  private constructor(
    parts: Pick<Roundabout, "internet" | "near" | "far" | "back">,
    owned: readonly AsyncDisposable[],
  ) {
    [this.internet, this.near, this.far, this.back] = [parts.internet, parts.near, parts.far, parts.back];
    for (const thing of owned) this.#scope.own(thing);
    const around = labelled(this.internet.carrier(this.near.id, NEAR), "relayed");
    const request = { endpoint: { host: AROUND, port: 1 }, expect: this.far.id, asks: true };
    const open = (signal: AbortSignal) => around.dial(request, signal);
    const ways = () => [{ kind: "relayed" as const, address: "via garage", delayMs: 2_000, open }];
    this.near.network.addPassage({ ways });
  }

  /** From now on it can be dialled. */
  async open(port = 8088): Promise<void> {
    this.#scope.own(await this.far.network.listen({ port }, never));
  }

  link(): Promise<Link> {
    const endpoints = [{ host: DIRECT, port: 8088 }];
    return this.near.network.link({ id: this.far.id, endpoints, via: [this.near.id] }, never);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
  }
}

function labelled(carrier: Carrier, kind: PathKind): Carrier {
  return {
    dial: async (request, signal) => {
      const pipe = await carrier.dial(request, signal);
      return { ...pipe, path: { ...pipe.path, kind }, bytesRead: () => pipe.bytesRead() };
    },
    listen: (onPipe, options, signal) =>
      carrier.listen((pipe) => onPipe({ ...pipe, path: { ...pipe.path, kind } }), options, signal),
  };
}

async function eventually(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await check();
      return;
    } catch (error) {
      if (tries === 60) throw error;
      await systemClock.sleep(100, never);
    }
  }
}
