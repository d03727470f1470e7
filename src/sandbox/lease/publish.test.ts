import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { describe, test } from "node:test";
import { ann, bigGrant, bob, SandboxWorld } from "../../../test/support/sandbox-world.ts";
import { systemClock } from "../../base/index.ts";
import { defaultGrant, type NodeId } from "../../core/index.ts";
import type { PublishedPort, PublishRequest } from "../contract.ts";
import type { Lease } from "./lease.ts";

const never = new AbortController().signal;
const publisher = { ...bigGrant, publish: true };

describe("a published port", { timeout: 20_000 }, () => {
  test("carries what anybody says to the port inside, and what is answered", async () => {
    await using world = new PublishWorld();
    const lease = await world.create(ann);
    const { public: port } = await world.publish(lease, { port: 80 });
    assert.equal(await echo(port), "hello");
    assert.ok(world.leases.streams.bytes(lease.id) > 0, "it is counted");
  });

  test("is the number inside where that is free, else any, and the same when asked for again", async () => {
    await using world = new PublishWorld();
    const lease = await world.create(ann);
    const first = await world.publish(lease, { port: 80 });
    assert.deepEqual(await world.publish(lease, { port: 80 }), first);
    assert.deepEqual(await world.publish(lease, { port: first.public }).then(({ internal }) => internal), first.public);
    assert.deepEqual(world.publications.of(lease.id).length, 2);
  });

  test("is refused in words where the grant does not allow it", async () => {
    await using world = new PublishWorld();
    world.grants.set(bob, defaultGrant);
    const lease = await world.create(bob);
    await assert.rejects(world.publish(lease, { port: 80 }), {
      code: "not-allowed",
      message: "the grant does not allow it: a public port, allowed is none",
    });
  });

  test("is one of as many as the grant allows", async () => {
    await using world = new PublishWorld();
    world.grants.set(ann, { ...publisher, ports: 1 });
    const lease = await world.create(ann);
    await world.publish(lease, { port: 80 });
    await assert.rejects(world.publish(lease, { port: 81 }), { code: "busy" });
    await world.publications.unpublish(lease.id, 80);
    await world.publish(lease, { port: 81 });
  });

  test("is refused where it is taken, and named by nobody where it is not there", async () => {
    await using world = new PublishWorld();
    const lease = await world.create(ann);
    const { public: port } = await world.publish(lease, { port: 80 });
    await assert.rejects(world.publish(lease, { port: 81, public: port }), { code: "port-in-use" });
    await assert.rejects(world.publications.unpublish(lease.id, 82), { code: "not-found" });
  });

  test("is refused while this node listens nowhere", async () => {
    await using world = new PublishWorld();
    const lease = await world.create(ann);
    world.hosts = [];
    await assert.rejects(world.publish(lease, { port: 80 }), { code: "not-supported" });
  });

  const endings: readonly (readonly [string, (world: PublishWorld, lease: Lease) => unknown])[] = [
    ["its sandbox", (world, { id }) => world.sandboxes.remove(id, "test", world.signal)],
    ["the grant", (world) => world.grants.delete(ann)],
    ["the right to publish", (world) => world.grants.set(ann, bigGrant)],
    ["a panic", (world) => world.sandboxes.panic(true)],
  ];
  for (const [what, end] of endings) {
    test(`ends with ${what}, and so do its connections`, async () => {
      await using world = new PublishWorld();
      world.run();
      const lease = await world.create(ann);
      const { public: port } = await world.publish(lease, { port: 80 });
      const open = await dial(port);
      await exchange(open);
      const closed = once(open, "close");
      await end(world, lease);
      await world.clock.advance(1_000);
      await closed;
      await assert.rejects(dial(port), { code: "ECONNREFUSED" });
      assert.deepEqual(world.publications.of(lease.id), []);
    });
  }

  test("goes on after a restart of the daemon, and after a pause of lending", async () => {
    await using world = new PublishWorld();
    const lease = await world.create(ann);
    const { public: port } = await world.publish(lease, { port: 80 });
    await world.stop();
    await assert.rejects(dial(port), { code: "ECONNREFUSED" });
    world.restart();
    await world.clock.advance(1_000);
    await settled(() => world.publications.of(lease.id).length === 1);
    assert.equal(await echo(port), "hello");
    world.hosts = [];
    await world.clock.advance(1_000);
    await settled(() => world.publications.of(lease.id).length === 0);
    await assert.rejects(dial(port), { code: "ECONNREFUSED" });
    world.hosts = ["127.0.0.1"];
    await world.clock.advance(1_000);
    await settled(() => world.publications.of(lease.id).length === 1);
    assert.equal(await echo(port), "hello");
  });

  test("answers nobody while the sandbox is frozen", async () => {
    await using world = new PublishWorld();
    const lease = await world.create(ann);
    const { public: port } = await world.publish(lease, { port: 80 });
    await world.sandboxes.hold(lease.id, "owner", "paused");
    await assert.rejects(echo(port), { code: "ECONNRESET" });
  });

  test("takes so many connections, and resets the next", async () => {
    await using world = new PublishWorld();
    const lease = await world.create(ann);
    const { public: port } = await world.publish(lease, { port: 80 });
    const open = await Promise.all(Array.from({ length: 128 }, () => dial(port)));
    for (const socket of open) await exchange(socket);
    await assert.rejects(echo(port), { code: "ECONNRESET" });
    for (const socket of open) socket.destroy();
    await settled(async () => (await echo(port).catch(() => "")) === "hello");
  });
});

class PublishWorld extends SandboxWorld {
  constructor() {
    super();
    this.grants.set(ann, publisher);
  }

  get publications() {
    return this.leases.publications;
  }

  publish(lease: Lease, wish: PublishRequest): Promise<PublishedPort> {
    return this.publications.publish(lease, { guest: this.guest(lease.guest as NodeId), wish }, this.signal);
  }
}

async function dial(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1" });
  await once(socket, "connect");
  return socket;
}

async function exchange(socket: Socket): Promise<string> {
  socket.write("hello");
  return String((await once(socket, "data"))[0]);
}

async function echo(port: number): Promise<string> {
  const socket = await dial(port);
  try {
    return await exchange(socket);
  } finally {
    socket.destroy();
  }
}

/** Sockets are the system's: what they do takes turns of the loop, not of the test's clock. */
async function settled(done: () => boolean | Promise<boolean>): Promise<void> {
  for (let turns = 0; turns < 500 && !(await done()); turns++) await systemClock.sleep(5, never);
  assert.ok(await done());
}
