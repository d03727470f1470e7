import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Runtime } from "../runtime/runtime.ts";
import { ann, bigGrant, bob, owner, SandboxWorld } from "../../../test/support/sandbox-world.ts";
import { defaultGrant } from "../../core/index.ts";
import { shown } from "./lease.ts";

const HOUR = 3_600_000;
const MINUTE = 60_000;
const GIB = 1024 ** 3;

describe("a lease", () => {
  test("is written before the sandbox is made, and runs when it is", async () => {
    await using world = new SandboxWorld();
    const made = world.create(ann);
    await turn();
    assert.equal(world.book.all[0]?.state, "making");
    const lease = await made;
    assert.equal(lease.state, "running");
    assert.equal(world.machine.get(lease.id)?.state, "running");
  });

  test("labels its sandbox with node, guest, end and name", async () => {
    await using world = new SandboxWorld();
    const { id, expires } = await world.create(ann, { name: "mill" });
    assert.deepEqual(world.machine.get(id)?.spec.labels, {
      "p2prc.node": owner,
      "p2prc.guest": ann,
      "p2prc.expires": new Date(expires).toISOString(),
      "p2prc.name": "mill",
    });
  });

  test("lasts two hours where nothing else is said, and no longer than the grant", async () => {
    await using world = new SandboxWorld();
    const now = world.clock.wallTime();
    world.grants.set(bob, { ...defaultGrant, until: now + HOUR });
    assert.equal((await world.create(ann)).expires, now + 2 * HOUR);
    assert.equal((await world.create(bob)).expires, now + HOUR);
  });

  test("ends on time, and is remembered with what it used", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann, { lifetimeMs: 2 * MINUTE });
    await world.clock.advance(2 * MINUTE - 1_000);
    assert.ok(world.machine.has(id));
    await world.clock.advance(2_000);
    assert.equal(world.machine.has(id), false);
    assert.equal(world.book.size, 0);
    assert.equal(world.book.endedGuest(id), ann);
  });

  test("ends at the hour that was promised when the calendar is set forward", async () => {
    await using world = new SandboxWorld();
    world.run();
    await world.create(ann, { lifetimeMs: 2 * MINUTE });
    world.clock.jumpWallTime(2 * MINUTE);
    await world.clock.advance(1_000);
    assert.equal(world.machine.size, 0);
  });

  test("is not prolonged by a calendar that is set back, and says when it ends now", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id, expires } = await world.create(ann, { lifetimeMs: 2 * MINUTE });
    world.clock.jumpWallTime(-HOUR);
    await world.clock.advance(30_000);
    assert.equal(world.book.get(id)?.expires, expires - HOUR);
    await world.clock.advance(2 * MINUTE - 31_000);
    assert.equal(world.machine.size, 1);
    await world.clock.advance(2_000);
    assert.equal(world.machine.size, 0);
  });

  test("is not prolonged by a calendar that goes back while no daemon runs", async () => {
    await using world = new SandboxWorld();
    world.run();
    await world.create(ann, { lifetimeMs: 2 * MINUTE });
    await world.clock.advance(MINUTE);
    await world.stop();
    world.clock.jumpWallTime(-30 * 24 * HOUR);
    world.restart();
    await world.clock.advance(MINUTE + 31_000);
    assert.equal(world.machine.size, 0);
  });

  test("goes on over a restart, and ends on time after it", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann, { lifetimeMs: 2 * MINUTE });
    await world.stop();
    await world.clock.advance(MINUTE);
    world.restart();
    await world.clock.advance(MINUTE - 2_000);
    assert.equal(world.book.get(id)?.state, "running");
    await world.clock.advance(3_000);
    assert.equal(world.machine.size, 0);
  });

  test("that ended while no daemon ran is removed at the next start", async () => {
    await using world = new SandboxWorld();
    await world.create(ann, { lifetimeMs: 2 * MINUTE });
    await world.stop();
    await world.clock.advance(3 * HOUR);
    world.restart();
    await world.clock.advance(1);
    assert.equal(world.machine.size, 0);
  });

  test("is extended from now, as far as the grant goes", async () => {
    await using world = new SandboxWorld();
    world.run();
    const lease = await world.create(ann, { lifetimeMs: 2 * MINUTE });
    await world.clock.advance(MINUTE);
    world.sandboxes.extend(lease, world.guest(ann), 4 * MINUTE);
    await world.clock.advance(4 * MINUTE - 2_000);
    assert.equal(world.machine.size, 1);
    assert.throws(() => world.sandboxes.extend(lease, world.guest(ann), 9 * HOUR), {
      code: "not-allowed",
      message: /9h of lifetime, allowed are 8h \(1h too much\)/,
    });
    await world.clock.advance(3_000);
    assert.equal(world.machine.size, 0);
  });

  test("warns ten minutes and one minute before it ends", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann, { lifetimeMs: 12 * MINUTE });
    const warnings = () => world.said.filter(({ message }) => message === "a lease ends soon").length;
    const soon = () => {
      const lease = world.book.get(id);
      return lease !== undefined && shown(lease, "memory", world.book.leftMs(lease)).endsSoon === true;
    };
    await world.clock.advance(MINUTE);
    assert.deepEqual([warnings(), soon()], [0, false]);
    await world.clock.advance(61_000);
    assert.deepEqual([warnings(), soon()], [1, true]);
    await world.clock.advance(9 * MINUTE);
    assert.equal(warnings(), 2);
  });

  test("ends with the grant of its guest, within 5 s", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann, { lifetimeMs: 2 * MINUTE });
    const other = await world.create(bob);
    world.grants.delete(ann);
    await world.clock.advance(5_000);
    assert.equal(world.machine.has(id), false);
    assert.equal(world.machine.has(other.id), true);
  });

  test("ends on time though the runtime fails to remove it at first", async () => {
    let failing = true;
    await using world = new SandboxWorld({
      wrap: (runtime) =>
        new Proxy(runtime, {
          get: (target, key) => {
            if (key === "remove" && failing) return () => Promise.reject(new Error("engine is away"));
            const value: unknown = Reflect.get(target, key);
            return typeof value === "function" ? value.bind(target) : value;
          },
        }),
    });
    world.run();
    const { id } = await world.create(ann, { lifetimeMs: 2 * MINUTE });
    await world.clock.advance(3 * MINUTE);
    assert.equal(world.book.get(id)?.state, "removing");
    failing = false;
    await world.clock.advance(6_000);
    assert.equal(world.machine.size, 0);
    assert.equal(world.book.size, 0);
  });
});

describe("asking again with the same id", () => {
  test("is the same sandbox, while it is made and after", async () => {
    await using world = new SandboxWorld();
    const id = world.id();
    const [first, second] = await Promise.all([world.create(ann, { id }), world.create(ann, { id })]);
    const third = await world.create(ann, { id });
    assert.deepEqual([second.id, third.id], [first.id, first.id]);
    assert.equal(world.machine.size, 1);
  });

  test("goes on when whoever asked first has left", async () => {
    await using world = new SandboxWorld();
    const leaving = new AbortController();
    const request = world.ask();
    const first = world.sandboxes.create(world.guest(ann), { request, note: () => undefined }, leaving.signal);
    leaving.abort(new Error("gone"));
    await assert.rejects(first, /gone/);
    assert.equal((await world.create(ann, { id: request.id })).state, "running");
  });

  test("is refused to another guest, in the same words as where it has ended", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    const refusal = { code: "conflict", message: "that id was used before" };
    await assert.rejects(world.create(bob, { id }), refusal);
    await world.sandboxes.remove(id, "test", world.signal);
    await assert.rejects(world.create(bob, { id }), refusal);
    await assert.rejects(world.create(ann, { id }), refusal);
  });

  test("makes it where the first try failed", async () => {
    await using world = new SandboxWorld();
    const id = world.id();
    await assert.rejects(world.create(ann, { id, image: "missing:1" }), { code: "not-found" });
    assert.equal(world.book.size, 0);
    assert.equal((await world.create(ann, { id, image: "debian:12" })).state, "running");
  });
});

describe("removing", () => {
  test("ends what is being made, and leaves nothing", async () => {
    await using world = new SandboxWorld();
    const id = world.id();
    const making = world.create(ann, { id });
    await turn();
    await world.sandboxes.remove(id, "changed my mind", world.signal);
    await assert.rejects(making, { code: "conflict" });
    assert.deepEqual([world.machine.size, world.book.size], [0, 0]);
  });

  test("twice at once is once", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    await Promise.all([1, 2].map(() => world.sandboxes.remove(id, "test", world.signal)));
    assert.equal(world.leases.sandboxes.book.size, 0);
  });
});

describe("many touches at once", () => {
  test("of one guest wait in line, sixty-four of them, and the rest is refused", async () => {
    await using world = new SandboxWorld();
    world.grants.set(ann, { ...bigGrant, sandboxes: 1_000 });
    world.sandboxes.limits = { sandboxes: 10_000, cpus: 1_000, memoryBytes: 60 * GIB };
    const asked = Array.from({ length: 10_000 }, () => world.create(ann, { memoryBytes: 64 * 1024 ** 2, cpus: 0.01 }));
    const outcomes = await Promise.allSettled(asked);
    const made = outcomes.filter(({ status }) => status === "fulfilled").length;
    const codes = new Set(
      outcomes.map((one) => (one.status === "rejected" ? (one.reason as { code: string }).code : "")),
    );
    assert.equal(made, 64);
    assert.deepEqual(codes, new Set(["", "busy"]));
  });

  test("of many guests wait in line, two hundred and fifty-six of them", async () => {
    await using world = new SandboxWorld();
    world.sandboxes.limits = { sandboxes: 10_000, cpus: 1_000, memoryBytes: 60 * GIB };
    const guests = Array.from({ length: 70 }, (_, index) => `guest-${index}` as typeof ann);
    for (const guest of guests) world.grants.set(guest, bigGrant);
    const asked = guests.flatMap((guest) =>
      Array.from({ length: 4 }, () =>
        world.create(guest, { memoryBytes: 64 * 1024 ** 2, diskBytes: 1024 ** 2, cpus: 0.01 }),
      ),
    );
    const outcomes = await Promise.allSettled(asked);
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 256);
  });
});

describe("freezing", () => {
  test("holds add up, and it goes on when none is left", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    await world.sandboxes.hold(id, "owner", "the owner paused it");
    await world.sandboxes.panic(true);
    await world.sandboxes.release(id, ["owner"]);
    assert.equal(world.machine.get(id)?.state, "paused");
    await world.sandboxes.panic(false);
    assert.equal(world.machine.get(id)?.state, "running");
  });

  test("panic holds over a restart, and makes nothing new", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    await world.sandboxes.panic(true);
    await world.stop();
    world.restart();
    await world.clock.advance(1);
    assert.equal(world.sandboxes.panicked, true);
    assert.equal(world.machine.get(id)?.state, "paused");
    await assert.rejects(world.create(ann), { code: "busy", message: /stopped everything/ });
  });

  test("panic gives up what is being made", async () => {
    await using world = new SandboxWorld();
    const making = world.create(ann);
    await turn();
    await world.sandboxes.panic(true);
    await assert.rejects(making, { code: "conflict" });
    assert.equal(world.machine.size, 0);
  });

  test("walls that do not hold freeze what is behind them within 10 s", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann, { network: "internet" });
    const inside = world.machine.get(id);
    assert.ok(inside !== undefined);
    inside.broken = ["the filter is gone"];
    await world.clock.advance(10_000);
    assert.equal(inside.state, "paused");
    const lease = world.book.get(id);
    assert.match(lease?.holds[0]?.why ?? "", /its walls do not hold: the filter is gone/);
    inside.broken = [];
    await world.clock.advance(60_000);
    assert.equal(inside.state, "paused");
    await world.sandboxes.release(id, ["walls"]);
    assert.equal(inside.state, "running");
  });
});

describe("a frozen, stopped or lost sandbox", () => {
  test("is shown as frozen where the runtime froze it, with its reason", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann);
    Object.assign(world.machine.get(id) ?? {}, { state: "paused", reason: "disk quota" });
    await world.clock.advance(30_000);
    const lease = world.book.get(id);
    assert.ok(lease !== undefined);
    const { state, reason } = shown(lease, "memory", HOUR);
    assert.deepEqual({ state, reason }, { state: "paused", reason: "disk quota" });
  });

  test("is shown as frozen at once, since the runtime tells", async () => {
    let runtime: Runtime | undefined;
    await using world = new SandboxWorld({ wrap: (inner) => (runtime = inner) });
    world.run();
    const { id } = await world.create(ann);
    await world.clock.advance(1_000);
    Object.assign(world.machine.get(id) ?? {}, { state: "paused", reason: "disk quota" });
    runtime?.frozen?.publish(id);
    await world.clock.advance(1);
    assert.deepEqual(
      world.book.get(id)?.holds.map(({ why }) => why),
      ["disk quota"],
    );
    await world.stop();
    assert.equal(runtime?.frozen?.listenerCount, 0);
  });

  test("is frozen again where somebody let it go on behind our back", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann);
    await world.sandboxes.hold(id, "owner", "the owner paused it");
    Object.assign(world.machine.get(id) ?? {}, { state: "running" });
    await world.clock.advance(30_000);
    assert.equal(world.machine.get(id)?.state, "paused");
  });

  test("is shown as stopped, keeps its lease, and is removed when that ends", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann, { lifetimeMs: 2 * MINUTE });
    Object.assign(world.machine.get(id) ?? {}, { state: "stopped", reason: "out of memory" });
    await world.clock.advance(30_000);
    assert.deepEqual([world.book.get(id)?.state, world.book.get(id)?.reason], ["stopped", "out of memory"]);
    await world.clock.advance(2 * MINUTE);
    assert.equal(world.machine.size, 0);
  });

  test("is shown as lost where the runtime does not have it", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann);
    world.machine.delete(id);
    await world.clock.advance(30_000);
    assert.equal(world.book.get(id)?.reason, "the runtime has lost it");
  });
});

describe("what no lease speaks of", () => {
  test("is removed at the start, where it is ours", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    const sandbox = world.machine.get(id);
    assert.ok(sandbox !== undefined);
    const [orphan, foreign] = [world.id(), world.id()];
    world.machine.set(orphan, { ...sandbox });
    world.machine.set(foreign, { ...sandbox, spec: { ...sandbox.spec, labels: { "p2prc.node": bob } } });
    world.run();
    await world.clock.advance(1);
    assert.deepEqual([...world.machine.keys()], [id, foreign]);
  });
});

describe("a full disk", () => {
  test("keeps new sandboxes out, and keeps nobody from freezing and ending those that run", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann, { lifetimeMs: 2 * MINUTE });
    const { page_count: pages } = world.database.prepare("PRAGMA page_count").get() as { page_count: number };
    world.database.exec(`PRAGMA max_page_count = ${pages}`);
    const command = Array.from({ length: 100 }, () => "x".repeat(4_000));
    await assert.rejects(world.create(ann, { command }), { code: "disk-full" });
    assert.equal(world.book.size, 1);
    assert.equal((await world.sandboxes.panic(true)).sandboxes, 1);
    assert.equal(world.machine.get(id)?.state, "paused");
    await world.clock.advance(2 * MINUTE + 1_000);
    assert.equal(world.machine.size, 0);
  });
});

describe("usage", () => {
  test("adds up what runs and what has ended", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann);
    const sandbox = world.machine.get(id);
    assert.ok(sandbox !== undefined);
    const used = { cpuMs: 500, memoryBytes: 100, diskBytes: 7, pids: 2, receivedBytes: 10, sentBytes: 20 };
    await world.clock.advance(10_000);
    sandbox.stats = used;
    await world.clock.advance(20_000);
    assert.deepEqual(world.book.get(id)?.used, {
      cpuMs: 500,
      memoryByteSeconds: 2_000,
      receivedBytes: 10,
      sentBytes: 20,
      linkBytes: 0,
      diskBytes: 7,
    });
    sandbox.stats = { ...used, cpuMs: 900 };
    await world.sandboxes.remove(id, "test", world.signal);
    await world.stop();
    const row = world.database.prepare("SELECT used FROM sandbox_usage WHERE guest = ?").get(ann);
    assert.equal((JSON.parse(String(row?.["used"])) as { cpuMs: number }).cpuMs, 900);
  });
});

/** Lets promises that are ready run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
