import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Scope, silentLog } from "../base/index.ts";
import { AllowedNetworks, type Endpoint } from "../core/index.ts";
import { Lending } from "./lending.ts";
import { OwnAddresses } from "./own-addresses.ts";
import { Whereabouts } from "./whereabouts.ts";

const machine = ["127.0.0.1", "::1", "192.168.0.2", "20.0.0.2", "fe80::2", "fd00::2", "2a00::2"];

describe("OwnAddresses", () => {
  test("tells the world of public addresses alone, IPv6 first", () => {
    assert.deepEqual(addresses().told([]), ["2a00::2", "20.0.0.2"]);
  });

  test("tells the LAN of all but loopback and what means nothing elsewhere", () => {
    assert.deepEqual(addresses().near([]), ["fd00::2", "2a00::2", "192.168.0.2", "20.0.0.2"]);
  });

  test("tells of networks that a person named", () => {
    assert.deepEqual(addresses({ allow: ["192.168.0.0/16"] }).told([]), ["2a00::2", "192.168.0.2", "20.0.0.2"]);
    assert.deepEqual(addresses({ allow: ["127.0.0.0/8"] }).told(["127.0.0.1"]), ["127.0.0.1"]);
  });

  test("tells only of where it listens", () => {
    const own = addresses();
    assert.deepEqual(own.told(["20.0.0.2"]), ["20.0.0.2"]);
    assert.deepEqual(own.told(["0.0.0.0"]), ["20.0.0.2"]);
    assert.deepEqual(own.told(["0.0.0.0", "::"]), ["2a00::2", "20.0.0.2"]);
    assert.deepEqual([own.told(["127.0.0.1"]), own.near(["127.0.0.1"])], [[], []]);
  });

  test("tells of four at most", () => {
    const many = Array.from({ length: 9 }, (_, i) => `20.0.0.${i + 1}`);
    assert.equal(addresses({ has: [...many, "2a00::2"] }).told([]).length, 4);
    assert.equal(addresses({ has: [...many, "2a00::2"] }).told([])[0], "2a00::2");
  });

  test("notices a change within five seconds, and is quiet without one", async () => {
    const clock = new VirtualClock();
    const has = ["192.168.0.2"];
    const own = addresses({ has, clock });
    const heard: (readonly string[])[] = [];
    own.changes.on((now) => heard.push(now));
    await using scope = new Scope();
    scope.spawn((signal) => own.run(signal));
    await clock.advance(20_000);
    has.push("20.0.0.2");
    await clock.advance(5_000);
    assert.deepEqual([heard, own.told([])], [[["192.168.0.2", "20.0.0.2"]], ["20.0.0.2"]]);
  });
});

describe("the moves of a machine", () => {
  test("are told within five seconds of another address, after the addresses themselves", async () => {
    const { own, clock, has, scope } = moving();
    await using _ending = scope;
    const order: string[] = [];
    own.changes.on(() => order.push("addresses"));
    own.moves.on((move) => order.push(move));
    has.push("20.0.0.2");
    await clock.advance(2_000);
    assert.deepEqual(order, ["addresses", "came"]);
    has.pop();
    await clock.advance(2_000);
    assert.deepEqual(order.slice(2), ["addresses", "changed"]);
    has[0] = "192.168.7.2";
    await clock.advance(2_000);
    assert.deepEqual(order.slice(4), ["addresses", "changed"]);
  });

  test("are told after a sleep, in which the clock stood still and the calendar did not", async () => {
    const { own, clock, has, scope } = moving();
    await using _ending = scope;
    const moves: string[] = [];
    own.moves.on((move) => moves.push(move));
    await clock.advance(60_000);
    assert.deepEqual(moves, []);
    clock.jumpWallTime(3_600_000);
    await clock.advance(2_000);
    assert.deepEqual(moves, ["slept"]);
    await clock.advance(60_000);
    assert.deepEqual(moves, ["slept"]);
    clock.jumpWallTime(3_600_000);
    has.push("20.0.0.2");
    await clock.advance(2_000);
    assert.deepEqual(moves, ["slept", "slept"]);
  });

  test("are no such thing when the cable of a container comes and goes, or interfaces change their order", async () => {
    const { own, clock, has, scope } = moving();
    await using _ending = scope;
    has.push("20.0.0.2");
    await clock.advance(2_000);
    own.moves.on((move) => assert.fail(move));
    has.push("fe80::42:2", "169.254.3.4", "127.0.0.5");
    await clock.advance(2_000);
    assert.ok(own.all.includes("fe80::42:2"));
    has.splice(0, Infinity, "20.0.0.2", "192.168.0.2");
    await clock.advance(2_000);
  });

  test("are no such thing when the calendar is set back, or a little forward", async () => {
    const { own, clock, scope } = moving();
    await using _ending = scope;
    own.moves.on((move) => assert.fail(move));
    clock.jumpWallTime(-3_600_000);
    await clock.advance(4_000);
    clock.jumpWallTime(3_000);
    await clock.advance(4_000);
  });
});

function moving() {
  const [clock, scope, has] = [new VirtualClock(), new Scope(), ["192.168.0.2"]];
  const own = addresses({ has, clock });
  scope.spawn((signal) => own.run(signal));
  return { clock, scope, has, own };
}

describe("Whereabouts", () => {
  test("are nowhere while nothing is lent", () => {
    const { told, near, port } = whereabouts([]);
    assert.deepEqual([told, near, port], [[], [], 0]);
  });

  test("name each address once, with the port, public ones first", async () => {
    const { near } = await lending([{ host: "::", port: 8088 }]);
    const hosts = near.map(({ host }) => host);
    assert.deepEqual(hosts, ["2a00::2", "20.0.0.2", "fd00::2", "192.168.0.2"]);
  });

  test("know where the node listens", async () => {
    const everywhere = await lending([{ host: "::", port: 1 }]);
    const four = await lending([{ host: "0.0.0.0", port: 1 }]);
    const named = await lending([{ host: "127.0.0.1", port: 1 }]);
    const listens = (one: Whereabouts) => ["127.0.0.1", "20.0.0.2", "2a00::2"].map((each) => one.listensAt(each));
    assert.deepEqual(listens(everywhere), [true, true, true]);
    assert.deepEqual(listens(four), [true, true, false]);
    assert.deepEqual(listens(named), [true, false, false]);
    assert.deepEqual(listens(whereabouts([])), [false, false, false]);
  });
});

function addresses({ has = machine, allow = [] as string[], clock = new VirtualClock() } = {}): OwnAddresses {
  return new OwnAddresses({ allowed: AllowedNetworks.parse(allow), clock, interfaces: () => [...has] });
}

function whereabouts(endpoints: readonly Endpoint[]): Whereabouts & { readonly lending: Lending } {
  const listen = async () => ({ endpoints, [Symbol.asyncDispose]: async () => {} });
  const lending = new Lending(
    { listen, changed: () => {}, needed: () => false, clock: new VirtualClock(), log: silentLog },
    { port: 1, hosts: undefined },
  );
  return Object.assign(new Whereabouts(lending, addresses()), { lending });
}

async function lending(endpoints: readonly Endpoint[]): Promise<Whereabouts> {
  const made = whereabouts(endpoints);
  await made.lending.turn(true, new AbortController().signal);
  return made;
}
