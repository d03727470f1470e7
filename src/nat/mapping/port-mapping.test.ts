import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { type Facts, Scope, seededRandom, silentLog } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { Gateway } from "./gateways.ts";
import type { Lease, Mapper, OpenMapper, Wish } from "./mapper.ts";
import { PortMapping, type Wanted } from "./port-mapping.ts";
import type { Mapped, Method } from "./state.ts";

describe("PortMapping", () => {
  test("opens the ports under their own numbers, and gives them back at the end", async () => {
    const lab = new Lab();
    await lab.clock.advance(100);
    assert.deepEqual(lab.mapping.latest.four, {
      kind: "mapped",
      ports: { method: "PCP", gateway: "192.168.0.1", tcp: 8088, udp: 8088, external: "20.7.7.7" },
    });
    assert.deepEqual([...lab.router.open.keys()], ["tcp 8088", "udp 8088", "udp 8089"]);
    await lab.close();
    assert.deepEqual([lab.router.open.size, lab.router.mappers, lab.clock.sleeperCount], [0, 0, 0]);
  });

  test("gives them back when nothing is lent any more, and opens them again when it is", async () => {
    await using lab = new Lab();
    await lab.clock.advance(100);
    lab.wanted = undefined;
    lab.mapping.again();
    await lab.clock.advance(100);
    assert.deepEqual([lab.router.open.size, lab.mapping.latest.four.kind], [0, "idle"]);
    lab.wanted = WANTED;
    lab.mapping.again();
    await lab.clock.advance(100);
    assert.equal(lab.router.open.size, 3);
  });

  test("leaves ports open when the network changes elsewhere, and begins anew where it changes here", async () => {
    await using lab = new Lab();
    await lab.clock.advance(100);
    lab.mapping.moved();
    await lab.clock.advance(100);
    assert.deepEqual([lab.router.maps, lab.router.open.size, lab.mapping.latest.four.kind], [3, 3, "mapped"]);
    lab.gateways = [{ ...GATEWAY, own: ["192.168.0.7"] }];
    lab.mapping.moved();
    await lab.clock.advance(100);
    assert.equal(lab.router.maps, 6);
    lab.wanted = { ...WANTED, tcp: 8089 };
    lab.mapping.moved();
    await lab.clock.advance(100);
    assert.ok(lab.router.open.has("tcp 8089"));
    lab.wanted = undefined;
    lab.mapping.moved();
    await lab.clock.advance(100);
    assert.deepEqual([lab.router.open.size, lab.mapping.latest.four.kind], [0, "idle"]);
  });

  test("asks a router at once that failed before, when the network changes", async () => {
    await using lab = new Lab();
    lab.refuses.add("PCP").add("UPnP");
    await lab.clock.advance(100);
    lab.refuses.clear();
    lab.mapping.moved();
    await lab.clock.advance(100);
    assert.equal(lab.mapping.latest.four.kind, "mapped");
  });

  test("begins anew when told to while it looks whether the network still is as it was", async () => {
    await using lab = new Lab();
    await lab.clock.advance(100);
    lab.finds = (signal) => lab.clock.sleep(50, signal);
    lab.mapping.moved();
    await lab.clock.advance(10);
    lab.mapping.again();
    await lab.clock.advance(200);
    assert.equal(lab.router.maps, 6);
  });

  test("begins anew while the routers are still being looked for, by what does not hear that it may stop", async () => {
    await using lab = new Lab();
    lab.finds = () => lab.clock.sleep(50, new AbortController().signal);
    lab.mapping.again();
    await lab.clock.advance(10);
    lab.mapping.again();
    await lab.clock.advance(200);
    assert.equal(lab.mapping.latest.four.kind, "mapped");
  });

  test("does not wait for a router that is gone at the end", async () => {
    const lab = new Lab();
    await lab.clock.advance(100);
    lab.router.isDead = true;
    const closing = lab.close();
    await lab.clock.advance(1_000);
    await closing;
    assert.equal(lab.clock.sleeperCount, 0);
    const [[, facts] = []] = lab.logged.filter(([words]) => /end with their leases/.test(words));
    assert.deepEqual([facts?.["ports"], facts?.["endInS"]], [["tcp 8088", "udp 8088", "udp 8089"], 7_200]);
  });

  test("renews at half the life of a lease", async () => {
    await using lab = new Lab();
    await lab.clock.advance(3_500_000);
    assert.equal(lab.router.maps, 3);
    await lab.clock.advance(200_000);
    assert.equal(lab.router.maps, 6);
  });

  test("opens them again within a minute when the router was rebooted", async () => {
    await using lab = new Lab();
    await lab.clock.advance(100_000);
    lab.router.open.clear();
    await lab.clock.advance(60_000);
    assert.deepEqual([lab.router.open.size, lab.mapping.latest.four.kind], [3, "mapped"]);
  });

  test("waits for a router that is being rebooted, and says meanwhile that nothing is open", async () => {
    await using lab = new Lab();
    await lab.clock.advance(100);
    lab.router.open.clear();
    lab.router.isDead = true;
    await lab.clock.advance(60_000);
    assert.equal(lab.mapping.latest.four.kind, "failed");
    lab.router.isDead = false;
    await lab.clock.advance(60_000);
    assert.deepEqual([lab.router.open.size, lab.mapping.latest.four.kind], [3, "mapped"]);
  });

  test("takes another port where a program has that already, and a row of UDP ports of which all are free", async () => {
    await using lab = new Lab();
    lab.router.taken.add("tcp 8088").add("udp 8089").add("udp 8152");
    await lab.clock.advance(100);
    const { four } = lab.mapping.latest;
    assert.ok(four.kind === "mapped" && four.ports.tcp === 9_000 && four.ports.udp === 8_216, JSON.stringify(four));
    assert.deepEqual([...lab.router.open.keys()], ["tcp 9000", "udp 8216", "udp 8217"]);
    assert.deepEqual([lab.mapping.udpFrom(8_088), lab.mapping.udpFrom(8_092)], [8_216, 8_092]);
  });

  test("keeps the row that it had, when the router was rebooted and when it begins anew", async () => {
    await using lab = new Lab();
    lab.router.taken.add("udp 8088");
    await lab.clock.advance(100_000);
    lab.router.taken.clear();
    const rows = () => [...lab.router.open.keys()].slice(1).join();
    lab.router.open.clear();
    lab.router.isDead = true;
    await lab.clock.advance(30_000);
    assert.equal(lab.mapping.udpFrom(8_088), 8_152, "what goes through them stays where it is");
    lab.router.isDead = false;
    await lab.clock.advance(60_000);
    assert.equal(rows(), "udp 8152,udp 8153");
    lab.mapping.again();
    await lab.clock.advance(100);
    assert.equal(rows(), "udp 8152,udp 8153");
  });

  test("goes without UDP where no row is free, and leaves nothing of those that it tried", async () => {
    await using lab = new Lab();
    for (let n = 0; n < 8; n++) lab.router.taken.add(`udp ${8_089 + 64 * n}`);
    await lab.clock.advance(100);
    const { four } = lab.mapping.latest;
    assert.ok(four.kind === "mapped" && four.ports.udp === undefined, JSON.stringify(four));
    assert.deepEqual([...lab.router.open.keys()], ["tcp 8088"]);
  });

  test("tries the next way where one refuses, and says in the router's words why none works", async () => {
    await using lab = new Lab();
    lab.refuses.add("PCP");
    await lab.clock.advance(100);
    const { four } = lab.mapping.latest;
    assert.ok(four.kind === "mapped" && four.ports.method === "UPnP", JSON.stringify(four));
    lab.refuses.add("UPnP");
    lab.mapping.again();
    await lab.clock.advance(100);
    assert.deepEqual(lab.mapping.latest.four, { kind: "failed", why: "PCP will not", isRefusal: true });
    assert.equal(lab.router.mappers, 0);
  });

  test("says that there is no router, and asks nobody", async () => {
    await using lab = new Lab();
    lab.gateways = [];
    await lab.clock.advance(100);
    assert.deepEqual(lab.mapping.latest.four, { kind: "failed", why: "this machine has no router", isRefusal: false });
  });

  test("asks every router of a machine that has several, and one that does it is enough", async () => {
    await using lab = new Lab();
    const other = { ...GATEWAY, address: "10.0.0.1", own: ["10.0.0.2"] };
    lab.gateways = [{ ...GATEWAY, address: "deaf" }, other];
    await lab.clock.advance(100);
    const { four } = lab.mapping.latest;
    assert.ok(four.kind === "mapped" && four.ports.gateway === "10.0.0.1", JSON.stringify(four));
  });

  test("opens a pinhole for each IPv6 address, TCP alone", async () => {
    await using lab = new Lab();
    lab.wanted = { ...WANTED, four: false, six: ["2a00::2"] };
    lab.gateways = [{ address: "fe80::1%eth0", family: 6, own: ["2a00::2"] }];
    lab.mapping.again();
    await lab.clock.advance(100);
    assert.deepEqual([lab.mapping.latest.pinholes, [...lab.router.open.keys()]], [["2a00::2"], ["tcp 8088"]]);
  });

  test("asks no router where the person does not want it", async () => {
    await using lab = new Lab({ on: false });
    await lab.clock.advance(60_000);
    assert.deepEqual([lab.router.maps, lab.mapping.latest.four.kind], [0, "off"]);
  });

  test("keeps nobody waiting longer than two seconds", async () => {
    await using lab = new Lab();
    lab.router.isDead = true;
    await lab.clock.advance(0);
    let settled = false;
    const waiting = lab.mapping.settled(lab.scope.signal).then(() => (settled = true));
    await lab.clock.advance(1_900);
    assert.equal(settled, false);
    await lab.clock.advance(100);
    await waiting;
  });

  test("asks a router that opens nothing less and less often", async () => {
    await using lab = new Lab();
    lab.refuses.add("PCP").add("UPnP");
    await lab.clock.advance(24 * 3_600_000);
    assert.ok(lab.opened < 250, `${lab.opened} times in a day`);
  });
});

const WANTED: Wanted = { tcp: 8088, udp: [8088, 8089], four: true, six: [] };
const GATEWAY: Gateway = { address: "192.168.0.1", family: 4, own: ["192.168.0.2"] };

/** A router that keeps what it opened in a table. */
class FakeRouter {
  readonly open = new Map<string, Wish>();
  readonly taken = new Set<string>();
  isDead = false;
  maps = 0;
  mappers = 0;
  readonly #clock: VirtualClock;

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  mapper(method: Method, gateway: string): Mapper {
    this.mappers++;
    return {
      method,
      gateway,
      map: async (wish, before, signal): Promise<Lease> => {
        await this.#answers(signal);
        this.maps++;
        const wanted = before?.external ?? wish.port;
        const external = this.taken.has(`${wish.protocol} ${wanted}`) ? 9_000 : wanted;
        this.open.set(`${wish.protocol} ${external}`, wish);
        return { ...wish, external, address: "20.7.7.7", lifetimeS: 7_200, handle: "" };
      },
      unmap: async ({ protocol, external }, signal) => {
        await this.#answers(signal);
        this.open.delete(`${protocol} ${external}`);
      },
      holds: async ({ protocol, external }, signal) => {
        await this.#answers(signal);
        return this.open.has(`${protocol} ${external}`);
      },
      [Symbol.asyncDispose]: async () => void this.mappers--,
    };
  }

  async #answers(signal: AbortSignal): Promise<void> {
    if (!this.isDead) return;
    await this.#clock.sleep(1_000, signal);
    throw new Failure("unreachable", "the router does not answer");
  }
}

class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly scope = new Scope();
  readonly router = new FakeRouter(this.clock);
  readonly refuses = new Set<Method>();
  readonly changes: Mapped[] = [];
  readonly logged: (readonly [string, Facts | undefined])[] = [];
  readonly mapping: PortMapping;
  wanted: Wanted | undefined = WANTED;
  gateways: readonly Gateway[] = [GATEWAY];
  finds = (signal: AbortSignal): Promise<void> => this.clock.sleep(1, signal);
  opened = 0;

  constructor(options: { readonly on?: boolean } = {}) {
    this.mapping = new PortMapping(
      {
        wanted: () => this.wanted,
        findGateways: async (signal) => {
          await this.finds(signal);
          return this.gateways;
        },
        openers: [this.#way("PCP"), this.#way("UPnP")],
        clock: this.clock,
        random: seededRandom(1),
        log: { ...silentLog, info: (words, facts) => void this.logged.push([words, facts]) },
      },
      options,
    );
    this.mapping.changes.on((mapped) => this.changes.push(mapped));
    this.scope.spawn((signal) => this.mapping.run(signal));
  }

  close(): Promise<void> {
    return this.scope.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.close();
    await this.clock.advance(2_000); // for routers that are dead
    await closing;
  }

  #way(method: Method): OpenMapper {
    return async ({ gateway }, signal) => {
      this.opened++;
      await this.clock.sleep(10, signal);
      if (gateway.address === "deaf") throw new Failure("unreachable", "it is deaf");
      const mapper = this.router.mapper(method, gateway.address);
      if (!this.refuses.has(method)) return mapper;
      return { ...mapper, map: () => Promise.reject(new Failure("not-allowed", `${method} will not`)) };
    };
  }
}
