import assert from "node:assert/strict";
import { once } from "node:events";
import { type Duplex, duplexPair } from "node:stream";
import { describe, test } from "node:test";
import { ann, bob, callerOf, SandboxWorld } from "../../../test/support/sandbox-world.ts";
import type { NodeId } from "../../core/index.ts";

describe("a stream into a sandbox", () => {
  test("carries bytes both ways, which are counted", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    const stream = await open(world, `port:${id}/8080`);
    stream.write("ping");
    assert.equal(String((await once(stream, "data"))[0]), "ping");
    assert.equal(world.leases.streams.bytes(id), 8);
    assert.equal(world.leases.streams.takeBytes(id), 8);
    assert.equal(world.leases.streams.bytes(id), 0);
    stream.destroy();
  });

  test("is cut when the sandbox is removed", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    const stream = await open(world, `port:${id}/8080`);
    const closed = once(stream, "close");
    await world.sandboxes.remove(id, "test", world.signal);
    await closed;
  });

  test("is opened anew over a new way where the last one broke", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    const first = await open(world, `port:${id}/1`);
    const closed = once(first, "close");
    world.breakWaysIn();
    await closed;
    const second = await open(world, `port:${id}/1`);
    second.write("again");
    assert.equal(String((await once(second, "data"))[0]), "again");
    second.destroy();
  });

  test("is refused to another guest, and to words that name nothing", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    await assert.rejects(open(world, `exec:${id}`, bob), { code: "not-found" });
    await assert.rejects(open(world, "exec:../../etc"), { code: "not-found" });
    for (const port of ["0", "65536", "99999", "x", "", "80/../../1", "-1"])
      await assert.rejects(open(world, `port:${id}/${port}`), { code: "bad-argument" }, port);
    await assert.rejects(open(world, `files:${id}/list/etc`), { code: "bad-argument" });
  });

  test("is refused in words while the sandbox is frozen, and after it has stopped", async () => {
    await using world = new SandboxWorld();
    world.run();
    const { id } = await world.create(ann);
    await world.sandboxes.hold(id, "owner", "the owner paused it");
    await assert.rejects(open(world, `exec:${id}`), {
      code: "busy",
      message: "the sandbox is frozen: the owner paused it",
    });
    await world.sandboxes.release(id, ["owner"]);
    Object.assign(world.machine.get(id) ?? {}, { state: "stopped", reason: "out of memory" });
    await world.clock.advance(30_000);
    await assert.rejects(open(world, `exec:${id}`), {
      code: "conflict",
      message: "the sandbox has stopped: out of memory",
    });
  });

  test("is one of at most 250, and gives its place back", async () => {
    await using world = new SandboxWorld();
    const { id } = await world.create(ann);
    const streams = await Promise.all(Array.from({ length: 250 }, () => open(world, `exec:${id}`)));
    await assert.rejects(open(world, `exec:${id}`), { code: "busy", message: /250 streams/ });
    const [first] = streams;
    first?.destroy();
    await turns();
    (await open(world, `exec:${id}`)).destroy();
    for (const stream of streams) stream.destroy();
  });

  test("goes to as many ports at once as the grant allows, over all sandboxes of a guest", async () => {
    await using world = new SandboxWorld();
    const [one, two] = [await world.create(ann, { cpus: 0.5 }), await world.create(ann, { cpus: 0.5 })];
    const targets = [1, 2, 3, 4].flatMap((port) => [`port:${one.id}/${port}`, `port:${two.id}/${port}`]);
    const streams = await Promise.all(targets.map((target) => open(world, target)));
    await assert.rejects(open(world, `port:${one.id}/5`), {
      code: "busy",
      message: /8 ports are in use, and the grant/,
    });
    (await open(world, `port:${one.id}/4`)).destroy();
    streams[0]?.destroy();
    await turns();
    (await open(world, `port:${one.id}/5`)).destroy();
    for (const stream of streams) stream.destroy();
  });
});

/** As the daemon does it, with the caller's end of the tunnel. */
async function open(world: SandboxWorld, target: string, guest: NodeId = ann): Promise<Duplex> {
  const colon = target.indexOf(":");
  const row = world.leases.streams.tunnels.find(({ kind }) => kind === target.slice(0, colon));
  assert.ok(row !== undefined);
  const carry = await row.open(target.slice(colon + 1), callerOf(guest), world.signal);
  const [near, far] = duplexPair();
  near.on("error", () => undefined);
  // A stream of a link that is reset on one end is gone on the other.
  near.once("close", () => far.destroy());
  far.once("close", () => near.destroy());
  carry(far);
  return near;
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}
