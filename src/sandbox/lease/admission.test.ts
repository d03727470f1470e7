import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ann, bigGrant, bob, owner, SandboxWorld } from "../../../test/support/sandbox-world.ts";
import { defaultGrant, exceeds, type FailureCode } from "../../core/index.ts";
import type { CreateRequest } from "../contract.ts";
import type { RuntimeFacts, Walls } from "../runtime/runtime.ts";
import { freeFor } from "./house.ts";

const GIB = 1024 ** 3;
const HOUR = 3_600_000;
const strong: Walls = {
  userNamespace: true,
  seccomp: true,
  memoryLimit: true,
  pidsLimit: true,
  cpuLimit: true,
  networkFilter: true,
  diskQuota: "engine",
  uidRange: true,
};

describe("what a guest did not say", () => {
  test("is a core, 1 GiB, 10 GiB of disk, two hours, root, and the filtered internet", async () => {
    await using world = new SandboxWorld();
    const { cpus, memoryBytes, diskBytes, lifetimeMs, profile, network, user } = await world.create(ann);
    assert.deepEqual([cpus, memoryBytes, diskBytes, lifetimeMs], [1, GIB, 10 * GIB, 2 * HOUR]);
    assert.deepEqual([profile, network, user], ["dev", "internet", "root"]);
  });

  test("is never more than the grant, what is lent, or what is free", async () => {
    await using world = new SandboxWorld();
    world.grants.set(ann, { ...defaultGrant, memoryBytes: GIB / 4, network: "none" });
    world.has = { cpus: 0.5, memoryBytes: GIB, diskFreeBytes: 3 * GIB };
    const { cpus, memoryBytes, diskBytes, network } = await world.create(ann);
    assert.deepEqual([cpus, memoryBytes, diskBytes, network], [0.5, GIB / 4, 2 * GIB, "none"]);
  });

  test("is a strict sandbox without a network where the runtime makes no others", async () => {
    await using world = new SandboxWorld({ facts: { profiles: ["strict"] } });
    const { profile, network, user } = await world.create(ann);
    assert.deepEqual([profile, network, user], ["strict", "none", "guest"]);
    await refused(world, { profile: "dev" }, { code: "not-supported", message: /cannot make "dev"/ });
    await refused(world, { network: "internet" }, { code: "not-supported", message: /strict sandboxes only/ });
  });

  test("is no network for a strict sandbox, wherever it is", async () => {
    await using world = new SandboxWorld();
    assert.equal((await world.create(ann, { profile: "strict" })).network, "none");
    const wish = { profile: "strict", network: "internet" } as const;
    await refused(world, wish, { code: "bad-argument", message: /strict sandbox has no network/ });
  });
});

describe("a grant", () => {
  test("is for all sandboxes of a guest together", async () => {
    await using world = new SandboxWorld();
    await world.create(ann, { memoryBytes: GIB, cpus: 0.5 });
    await refused(
      world,
      { memoryBytes: 2 * GIB },
      { code: "not-allowed", message: /3GiB memory in all, allowed are 2GiB \(1GiB too/ },
    );
    await refused(
      world,
      { cpus: 2 },
      { code: "not-allowed", message: /2.5 cores in all, allowed are 2 \(0.5 too much\)/ },
    );
    await refused(
      world,
      { ports: 9 },
      { code: "not-allowed", message: /9 ports at once, allowed are 8 \(1 too much\)/ },
    );
    await world.create(ann, { cpus: 0.5 });
    await refused(
      world,
      { cpus: 0.1 },
      { code: "not-allowed", message: /3 sandboxes at once, allowed are 2 \(1 too much\)/ },
    );
    assert.equal((await world.create(bob)).state, "running");
  });

  test("bounds the life of a sandbox by its own", async () => {
    await using world = new SandboxWorld();
    world.grants.set(ann, { ...defaultGrant, until: world.clock.wallTime() + HOUR });
    await refused(
      world,
      { lifetimeMs: 3 * HOUR },
      { code: "not-allowed", message: /3h of lifetime, the grant itself ends in 1h/ },
    );
    await refused(
      world,
      { lifetimeMs: 9 * HOUR },
      { code: "not-allowed", message: /9h of lifetime, allowed are 8h \(1h too much\)/ },
    );
  });

  test("of one's own is bounded by the machine alone", async () => {
    await using world = new SandboxWorld();
    world.lends = false;
    world.has = { cpus: 4, memoryBytes: 8 * GIB, diskFreeBytes: 100 * GIB };
    await world.create(owner, { memoryBytes: 6 * GIB, cpus: 4 });
    await assert.rejects(world.create(owner, { memoryBytes: 3 * GIB }), {
      code: "busy",
      message: /3 GiB of memory wanted, this machine has 8 GiB, of which 2 GiB free \(1 GiB too much\)/,
    });
    await assert.rejects(world.create(owner, { cpus: 5, memoryBytes: GIB }), { code: "not-allowed" });
    await assert.rejects(world.create(owner, { diskBytes: 200 * GIB, memoryBytes: GIB }), { code: "not-allowed" });
  });
});

describe("what the owner lends", () => {
  test("is all cores, half of the memory and 8 sandboxes, to all guests together", async () => {
    await using world = new SandboxWorld();
    world.has = { cpus: 4, memoryBytes: 8 * GIB, diskFreeBytes: 1_000 * GIB };
    for (const guest of [ann, bob]) world.grants.set(guest, bigGrant);
    await world.create(ann, { cpus: 1, memoryBytes: 3 * GIB });
    await assert.rejects(world.create(bob, { cpus: 0.1, memoryBytes: 2 * GIB }), {
      code: "busy",
      message: /2 GiB of memory wanted, this node lends 4 GiB, of which 1 GiB free/,
    });
    await refused(
      world,
      { cpus: 4 },
      { code: "busy", message: /4 cores wanted, this node lends 4, of which 3 free \(1 too much\)/ },
    );
    for (let made = 1; made < 8; made++) await world.create(ann, { cpus: 0.1, memoryBytes: GIB / 8 });
    await refused(
      world,
      { cpus: 0.1, memoryBytes: GIB / 8 },
      { code: "busy", message: /1 sandbox wanted, this node lends 8, of which 0/ },
    );
  });

  test("does not count the owner's own sandboxes", async () => {
    await using world = new SandboxWorld();
    world.has = { cpus: 4, memoryBytes: 8 * GIB, diskFreeBytes: 1_000 * GIB };
    await world.create(owner, { memoryBytes: 4 * GIB });
    assert.equal((await world.create(ann)).state, "running");
  });

  test("is nothing while the node does not lend", async () => {
    await using world = new SandboxWorld();
    world.lends = false;
    await refused(world, {}, { code: "not-allowed", message: /does not lend now/ });
  });

  test("is bounded by the disk that is really free", async () => {
    await using world = new SandboxWorld();
    world.has = { ...world.has, diskFreeBytes: 12 * GIB };
    await world.create(ann, { diskBytes: 8 * GIB, cpus: 1 });
    await assert.rejects(world.create(bob, { diskBytes: 8 * GIB }), { code: "busy", message: /8 GiB of disk wanted/ });
  });
});

describe("walls", () => {
  for (const wall of ["memoryLimit", "pidsLimit", "seccomp"] as const)
    test(`that lack ${wall} keep others out until the owner accepts that`, async () => {
      await using world = new SandboxWorld({ facts: { walls: { ...strong, [wall]: false } } });
      await refused(world, {}, { code: "not-supported", message: new RegExp(`would lack ${wall}`) });
      assert.equal((await world.create(owner)).state, "running");
      world.sandboxes.limits = { accept: [wall] };
      assert.equal((await world.create(ann)).state, "running");
    });

  test("without a filter give no network, and none is given unasked", async () => {
    await using world = new SandboxWorld({ facts: { walls: { ...strong, networkFilter: false } } });
    assert.equal((await world.create(ann)).network, "none");
    await refused(world, { network: "internet" }, { code: "not-supported", message: /cannot filter/ });
  });

  test("are nowhere where there is no runtime", async () => {
    const facts: Partial<RuntimeFacts> = { profiles: [], problems: ["bubblewrap: it is not installed"] };
    await using world = new SandboxWorld({ facts });
    await refused(
      world,
      {},
      { code: "not-supported", message: /can make no sandboxes \(bubblewrap: it is not installed\)/ },
    );
  });
});

describe("admission", () => {
  test("never lets a guest beyond the grant, or all of them beyond what is lent, whatever they ask for", async () => {
    const ask = fc.record({
      guest: fc.constantFrom(ann, bob),
      cpus: fc.integer({ min: 1, max: 512 }).map((parts) => parts / 128), // whose sums are exact
      memoryBytes: fc.integer({ min: 1, max: 4 * GIB }),
      diskBytes: fc.integer({ min: 1, max: 40 * GIB }),
      ports: fc.integer({ min: 0, max: 10 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(ask, { maxLength: 12 }), async (asks) => {
        await using world = new SandboxWorld();
        world.has = { cpus: 4, memoryBytes: 4 * GIB, diskFreeBytes: 50 * GIB };
        for (const { guest, ...choices } of asks) await world.create(guest, choices).catch(() => undefined);
        const sum = (key: "cpus" | "memoryBytes" | "diskBytes" | "ports", leases = world.book.all) =>
          leases.reduce((all, lease) => all + lease[key], 0);
        for (const guest of [ann, bob]) {
          const theirs = world.book.of(guest);
          const demand = {
            sandboxes: theirs.length,
            cpus: sum("cpus", theirs),
            memoryBytes: sum("memoryBytes", theirs),
            diskBytes: sum("diskBytes", theirs),
            ports: sum("ports", theirs),
          };
          assert.deepEqual(exceeds(defaultGrant, demand), []);
        }
        assert.ok(sum("cpus") <= 4 && sum("memoryBytes") <= 2 * GIB && sum("diskBytes") <= 49 * GIB);
        const free = freeFor(world.guest(ann), world.sandboxes.house());
        assert.ok(Object.values(free).every((value) => value >= 0));
      }),
      { numRuns: 50 },
    );
  });
});

async function refused(
  world: SandboxWorld,
  choices: Partial<CreateRequest>,
  why: { readonly code: FailureCode; readonly message: RegExp },
): Promise<void> {
  await assert.rejects(world.create(ann, choices), why);
}
