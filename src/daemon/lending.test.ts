import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, test } from "node:test";
import { silentLog, systemClock } from "../base/index.ts";
import { type Endpoint, Failure } from "../core/index.ts";
import { identityFromSeed, type ListenOptions, TcpCarrier } from "../network/index.ts";
import { Lending, type LendingOptions } from "./lending.ts";

const never = new AbortController().signal;

describe("Lending", () => {
  test("listens at the default port, and tells where", async () => {
    await using lab = new Lab();
    await lab.lending.turn(true, never);
    assert.deepEqual([lab.lending.on, lab.told], [true, [[{ host: "::", port: 8088 }]]]);
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
    const lending = new Lending({ listen, changed: () => {}, log: silentLog }, { port, hosts: ["127.0.0.1"] });
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
    assert.deepEqual([lab.asked, lab.open, lab.told.length], [[8088, 8088], 1, 3]);
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

  test("is off when it has been disposed of", async () => {
    const lab = new Lab();
    await lab.lending.turn(true, never);
    await lab[Symbol.asyncDispose]();
    assert.deepEqual([lab.lending.on, lab.open, lab.told.at(-1)], [false, 0, []]);
  });
});

/** A machine on which some ports are taken. */
class Lab implements AsyncDisposable {
  readonly asked: number[] = [];
  readonly told: (readonly Endpoint[])[] = [];
  readonly lending: Lending;
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
    const changed = (endpoints: readonly Endpoint[]) => void this.told.push(endpoints);
    this.lending = new Lending({ listen, changed, log: silentLog }, { port: undefined, hosts: undefined, ...options });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.lending[Symbol.asyncDispose]();
  }
}
