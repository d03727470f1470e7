import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { AccessNode, nodeCaller } from "../../test/support/access-world.ts";
import { fakeId } from "../../test/support/fake-link.ts";
import { Scope } from "../base/index.ts";
import { defaultGrant, type Grant } from "../core/index.ts";
import type { GrantChange } from "./index.ts";

const HOUR_MS = 3_600_000;

describe("a role", () => {
  test("is what the carrier proved, and what the owner made of the key", () => {
    const node = new AccessNode(1);
    give(node, 2);
    give(node, 3, { kind: "own" });
    const callers = [
      { kind: "local" },
      nodeCaller(3),
      nodeCaller(2),
      nodeCaller(4),
      { kind: "anonymous", remote: "192.0.2.1:1" },
    ] as const;
    assert.deepEqual(
      callers.map((caller) => node.grants.roleOf(caller)),
      ["local", "own", "guest", "stranger", "anonymous"],
    );
  });

  test("ends with the grant's time, to the millisecond", () => {
    const node = new AccessNode(1);
    give(node, 2, { until: node.clock.wallTime() + HOUR_MS });
    node.clock.jumpWallTime(HOUR_MS - 1);
    assert.equal(node.grants.roleOf(nodeCaller(2)), "guest");
    node.clock.jumpWallTime(1);
    assert.equal(node.grants.roleOf(nodeCaller(2)), "stranger");
    assert.equal(node.grants.list()[0]?.ended, true);
  });
});

describe("a grant", () => {
  test("is changed in what is said and in nothing else, and can lose its end", () => {
    const node = new AccessNode(1);
    const until = node.clock.wallTime() + HOUR_MS;
    give(node, 2, { until, gpus: 1 });
    assert.deepEqual(node.grants.change(fakeId(2), { cpus: 9 }).grant, { ...defaultGrant, gpus: 1, until, cpus: 9 });
    assert.deepEqual(node.grants.change(fakeId(2), { until: null }).grant, { ...defaultGrant, gpus: 1, cpus: 9 });
    assert.deepEqual(node.restarted(1).grants.of(fakeId(2)), { ...defaultGrant, gpus: 1, cpus: 9 });
  });

  test("is named by the name that the node has here, its own name, its id or the start of one", () => {
    const node = new AccessNode(1);
    give(node, 2);
    give(node, 3);
    node.deps.befriend({ id: fakeId(3), relation: "friend", name: "attic", endpoints: [] });
    assert.equal(node.grants.change("ATTIC", {}).id, fakeId(3));
    assert.equal(node.grants.change("guest-2", {}).id, fakeId(2));
    assert.equal(node.grants.change(fakeId(2).slice(0, 12), {}).id, fakeId(2));
    assert.throws(() => node.grants.revoke("nobody"), {
      code: "not-found",
      message: /holds a grant here/,
      hint: /p2prc grants/,
    });
    give(node, 4, { name: "guest-2" });
    assert.throws(() => node.grants.revoke("guest-2"), { code: "ambiguous" });
  });

  test("that is revoked ends at once, once, and stays ended after a restart", () => {
    const node = new AccessNode(1);
    give(node, 2);
    const heard = listen(node);
    assert.equal(node.grants.revoke(fakeId(2)).id, fakeId(2));
    assert.deepEqual(heard, [{ kind: "ended", id: fakeId(2), why: "revoked" }]);
    assert.equal(node.grants.roleOf(nodeCaller(2)), "stranger");
    assert.throws(() => node.grants.revoke(fakeId(2)), { code: "not-found" });
    assert.equal(node.restarted(1).grants.roleOf(nodeCaller(2)), "stranger");
  });

  test("that is revoked ends also when that cannot be written down, and can be revoked once more", () => {
    const node = new AccessNode(1);
    give(node, 2);
    const heard = listen(node);
    node.database.exec("PRAGMA query_only = 1");
    assert.throws(() => node.grants.revoke(fakeId(2)), /readonly/);
    assert.deepEqual(
      [node.grants.roleOf(nodeCaller(2)), heard.length, node.grants.list()[0]?.ended],
      ["stranger", 1, true],
    );
    node.database.exec("PRAGMA query_only = 0");
    node.grants.revoke(fakeId(2));
    assert.equal(heard.length, 1);
    assert.deepEqual(node.restarted(1).grants.list(), []);
  });

  test("tells of itself when it is given and changed", () => {
    const node = new AccessNode(1);
    const heard = listen(node);
    give(node, 2);
    node.grants.change(fakeId(2), { cpus: 3 });
    assert.deepEqual(heard, [
      { kind: "given", id: fakeId(2), grant: defaultGrant },
      { kind: "changed", id: fakeId(2), grant: { ...defaultGrant, cpus: 3 } },
    ]);
  });

  test("ends at once when its end is moved into the past, and lives again when that is taken back", () => {
    const node = new AccessNode(1);
    give(node, 2);
    const heard = listen(node);
    node.grants.change(fakeId(2), { until: node.clock.wallTime() - 1 });
    node.grants.change(fakeId(2), { until: null });
    assert.deepEqual(
      heard.map(({ kind }) => kind),
      ["ended", "changed"],
    );
    assert.equal(node.grants.roleOf(nodeCaller(2)), "guest");
  });

  test("is one of so many, ended ones included; the same key may always have another", () => {
    const node = new AccessNode(1, { maxGrants: 3 });
    for (const number of [2, 3, 4]) give(node, number);
    give(node, 4, { cpus: 1 });
    assert.throws(() => give(node, 5), { code: "busy", hint: /p2prc grants/ });
    node.grants.revoke(fakeId(2));
    give(node, 5);
  });
});

describe("the watch over grants", () => {
  test("tells of one that ends by time within a moment of it", async () => {
    await using lab = new Watch();
    give(lab.node, 2, { until: lab.node.clock.wallTime() + HOUR_MS });
    await lab.node.clock.advance(HOUR_MS - 1);
    assert.deepEqual(lab.ends, []);
    await lab.node.clock.advance(1);
    assert.deepEqual(lab.ends, [{ kind: "ended", id: fakeId(2), why: "expired" }]);
    await lab.node.clock.advance(HOUR_MS);
    assert.equal(lab.ends.length, 1);
  });

  test("notices within a minute that the clock was set ahead", async () => {
    await using lab = new Watch();
    give(lab.node, 2, { until: lab.node.clock.wallTime() + 300 * HOUR_MS });
    await lab.node.clock.advance(1);
    lab.node.clock.jumpWallTime(365 * 24 * HOUR_MS);
    await lab.node.clock.advance(60_000);
    assert.equal(lab.ends.length, 1);
  });

  test("looks again when an end is moved nearer", async () => {
    await using lab = new Watch();
    give(lab.node, 2, { until: lab.node.clock.wallTime() + 300 * HOUR_MS });
    await lab.node.clock.advance(30_500);
    lab.node.grants.change(fakeId(2), { until: lab.node.clock.wallTime() + 1_000 });
    await lab.node.clock.advance(1_000);
    assert.equal(lab.ends.length, 1);
  });

  test("tells of what ended while the daemon was not running", async () => {
    const node = new AccessNode(1);
    give(node, 2, { until: node.clock.wallTime() + HOUR_MS });
    node.clock.jumpWallTime(2 * HOUR_MS);
    await using lab = new Watch(node.restarted(1));
    await lab.node.clock.advance(1);
    assert.equal(lab.ends.length, 1);
  });

  test("ends when it is told to, before or in the middle, and leaves nothing behind", async () => {
    const lab = new Watch();
    await lab.node.clock.advance(1);
    await lab.scope.close();
    assert.deepEqual([lab.node.clock.sleeperCount, lab.node.grants.changes.listenerCount], [0, 1]);
    await lab.node.grants.run(AbortSignal.abort());
  });
});

function give(
  node: AccessNode,
  number: number,
  { name = `guest-${number}`, ...terms }: Partial<Grant> & { readonly name?: string } = {},
): void {
  node.grants.give(fakeId(number), { grant: { ...defaultGrant, ...terms }, name });
}

function listen(node: AccessNode): GrantChange[] {
  const heard: GrantChange[] = [];
  node.grants.changes.on((change) => void heard.push(change));
  return heard;
}

/** A running watch; its own listener is the one that stays. */
class Watch implements AsyncDisposable {
  readonly node: AccessNode;
  readonly scope = new Scope();
  readonly heard: GrantChange[];

  constructor(node = new AccessNode(1)) {
    this.node = node;
    this.heard = listen(node);
    this.scope.spawn((signal) => node.grants.run(signal));
  }

  get ends(): readonly GrantChange[] {
    return this.heard.filter(({ kind }) => kind === "ended");
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scope.close();
  }
}
