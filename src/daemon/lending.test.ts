import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, test } from "node:test";
import { silentLog, systemClock } from "../base/index.ts";
import { type Endpoint, Failure } from "../core/index.ts";
import { identityFromSeed, type ListenOptions, TcpCarrier } from "../network/index.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Lending, type LendingOptions } from "./lending.ts";

const never = new AbortController().signal;

describe("Lending", () => {
  test("listens at the default port, and tells where", async () => {
    await using lab = new Lab();
    await lab.lending.turn(true, never);
    assert.deepEqual([lab.lending.on, lab.told.at(-1)], [true, [{ host: "::", port: 8088 }]]);
  });

  test("takes the next free port where nobody named one", async () => {
    await using lab = new Lab({ taken: [8088, 8089] });
    await lab.lending.turn(true, never);
    assert.deepEqual([lab.asked, lab.lending.endpoints[0]?.port], [[8088, 8089, 8090], 8090]);
  });

  test("takes any port where all the next ones are taken", async () => {
    await using lab = new Lab({ taken: [8088, 8089, 8090, 8091, 8092, 8093, 8094, 8095, 8096] });
    await lab.lending.turn(true, never);
    assert.equal(lab.lending.endpoints[0]?.port, 40_000);
  });

  test("takes the named port or none", async () => {
    await using lab = new Lab({ taken: [9000], port: 9000 });
    await assert.rejects(lab.lending.turn(true, never), { code: "port-in-use" });
    assert.deepEqual([lab.asked, lab.lending.on, lab.told], [[9000], false, []]);
  });

  test("says by whom the named port is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const identity = await identityFromSeed(Buffer.alloc(32, 5));
    const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted: () => true });
    const listen = (options: ListenOptions, signal: AbortSignal) => carrier.listen(() => {}, options, signal);
    const lending = new Lending(
      { listen, changed: () => {}, needed: () => false, clock: systemClock, log: silentLog },
      { port, hosts: ["127.0.0.1"] },
    );
    await assert.rejects(lending.turn(true, never), {
      code: "port-in-use",
      message: new RegExp(`^port ${port} is taken by .+ \\(process ${process.pid}\\)$`),
      hint: /--port 0/,
    });
    other.close();
  });

  test("gives the port back when it is turned off, and may be turned on again", async () => {
    await using lab = new Lab();
    for (const on of [true, true, false, false, true]) await lab.lending.turn(on, never);
    assert.deepEqual([lab.asked, lab.open, lab.moves], [[8088, 8088], 1, 3]);
  });

  test("listens where it did before, though any port would do", async () => {
    await using lab = new Lab({ port: 0 });
    for (const on of [true, false, true]) await lab.lending.turn(on, never);
    assert.deepEqual([lab.asked, lab.lending.endpoints[0]?.port], [[40_000], 40_000]);
  });

  test("listens somewhere else where the port it had was taken meanwhile, unless it was named", async () => {
    const taken: number[] = [8088];
    await using lab = new Lab({ taken });
    for (const on of [true, false]) await lab.lending.turn(on, never);
    taken.push(8089);
    taken.shift();
    await lab.lending.turn(true, never);
    assert.deepEqual([lab.asked, lab.lending.endpoints[0]?.port], [[8088, 8089, 8089, 8088], 8088]);
  });

  test("makes one change after the other, whoever asks", async () => {
    await using lab = new Lab();
    await Promise.all([true, false, true].map((on) => lab.lending.turn(on, never)));
    assert.deepEqual([lab.lending.on, lab.open, lab.mostOpen], [true, 1, 1]);
  });

  test("goes on listening for the sandboxes that run when it is turned off, until the last has ended", async () => {
    await using lab = new Lab();
    await lab.lending.turn(true, never);
    lab.needed = true;
    await lab.lending.turn(false, never);
    await lab.clock.advance(5_000);
    assert.deepEqual([lab.lending.on, lab.lending.listening, lab.open, lab.moves], [false, true, 1, 1]);
    lab.needed = false;
    await lab.clock.advance(1_000);
    assert.deepEqual([lab.lending.on, lab.lending.listening, lab.open, lab.told.at(-1)], [false, false, 0, []]);
  });

  test("is turned on again without anybody being cut off", async () => {
    await using lab = new Lab();
    lab.needed = true;
    for (const on of [true, false, true]) await lab.lending.turn(on, never);
    lab.needed = false;
    await lab.clock.advance(2_000);
    assert.deepEqual([lab.lending.on, lab.open, lab.moves], [true, 1, 1]);
  });

  test("listens for sandboxes that an earlier daemon left, where nothing is lent", async () => {
    await using lab = new Lab();
    lab.needed = true;
    await lab.clock.advance(1_000);
    assert.deepEqual([lab.lending.on, lab.lending.listening, lab.open], [false, true, 1]);
  });

  test("tries again where it cannot listen for them, and says so once", async () => {
    const taken = [9000];
    await using lab = new Lab({ taken, port: 9000 });
    lab.needed = true;
    await lab.clock.advance(3_000);
    assert.deepEqual([lab.lending.listening, lab.warned], [false, 1]);
    taken.pop();
    await lab.clock.advance(1_000);
    assert.equal(lab.lending.listening, true);
  });

  test("is off when it has been disposed of, whoever needs it", async () => {
    const lab = new Lab();
    await lab.lending.turn(true, never);
    lab.needed = true;
    await lab[Symbol.asyncDispose]();
    assert.deepEqual([lab.lending.on, lab.open, lab.told.at(-1)], [false, 0, []]);
  });
});

/** A machine on which some ports are taken. */
class Lab implements AsyncDisposable {
  readonly asked: number[] = [];
  readonly told: (readonly Endpoint[])[] = [];
  readonly lending: Lending;
  readonly clock = new VirtualClock();
  /** How often it began or ended to listen. */
  moves = 0;
  warned = 0;
  needed = false;
  readonly #ending = new AbortController();
  readonly #running: Promise<unknown>;
  open = 0;
  mostOpen = 0;

  constructor({ taken = [], ...options }: { readonly taken?: readonly number[] } & Partial<LendingOptions> = {}) {
    const listen = async ({ port }: ListenOptions) => {
      if (port !== 0) this.asked.push(port);
      if (taken.includes(port)) throw new Failure("port-in-use", `port ${port} is taken`);
      this.mostOpen = Math.max(this.mostOpen, ++this.open);
      const close = async () => void this.open--;
      return { endpoints: [{ host: "::", port: port === 0 ? 40_000 : port }], [Symbol.asyncDispose]: close };
    };
    const changed = ({ moved }: { readonly moved: boolean }) => {
      this.told.push(this.lending.endpoints);
      if (moved) this.moves++;
    };
    const log = { ...silentLog, warn: () => void this.warned++ };
    const deps = { listen, changed, needed: () => this.needed, clock: this.clock, log };
    this.lending = new Lending(deps, { port: undefined, hosts: undefined, ...options });
    this.#running = this.lending.run(this.#ending.signal).catch(() => undefined); // it was ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    await this.#running;
    await this.lending[Symbol.asyncDispose]();
  }
}
