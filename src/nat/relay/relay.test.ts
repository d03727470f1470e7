import assert from "node:assert/strict";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { RelayNode, type RelayNodeOptions } from "../../../test/support/relay-lab.ts";
import { fakeId } from "../../../test/support/fake-link.ts";
import { systemClock } from "../../base/index.ts";
import type { NodeId } from "../../core/index.ts";
import type { Link } from "../../network/index.ts";

import { defaultQuotas, type Quota, type QuotasOptions } from "./quotas.ts";

const never = new AbortController().signal;

describe("two nodes that cannot dial each other", { timeout: 20_000 }, () => {
  test("ping each other through a third", async () => {
    await using street = await Street.open();
    const link = await street.meet();
    assert.deepEqual(link.path, { kind: "relayed", remote: "via garage", via: street.garage.id });
    assert.equal(link.peer, street.attic.id);
    assert.ok((await link.ping(never)) > 0);
    assert.deepEqual(street.attempts(), ["relayed via garage open"]);
    assert.equal(street.garage.relay.counts.opened, 1);
  });

  test("lose each other when either ends it, and the relay keeps nothing of it", async () => {
    await using street = await Street.open();
    (await street.meet()).close("enough");
    await until(() => street.attic.answering.callers.every(({ path }) => path.kind !== "relayed"));
    await until(() => street.garage.relay.counts.streams === 0);
    const link = await street.meet();
    street.attic.network.hangUp(street.barn.id);
    assert.equal((await link.ended)?.code, "link-lost");
    await until(() => street.garage.relay.counts.streams === 0);
  });

  test("lose each other when the relay loses one of them", async () => {
    await using street = await Street.open();
    const link = await street.meet();
    street.attic.network.hangUp(street.garage.id);
    assert.equal((await link.ended)?.code, "link-lost");
    assert.equal(street.garage.relay.counts.streams, 0);
  });
});

describe("a relay", { timeout: 20_000 }, () => {
  test("leads to nodes with a link to it, and to nothing else", async () => {
    await using street = await Street.open();
    const link = await street.barn.network.link(street.garage.dialable, never);
    for (const address of ["127.0.0.1:22", "attic", "", `${street.attic.id}:80`])
      await assert.rejects(link.connect(`node:${address}`, never), { code: "bad-node-id", message: /to no address/ });
    await assert.rejects(link.connect(`node:${fakeId(7)}`, never), {
      code: "unreachable",
      message: /has no link to this/,
    });
    await assert.rejects(link.connect(`node:${street.barn.id}`, never), { code: "unreachable" });
    assert.equal(street.garage.relay.counts.refused, 6);
  });

  test("leads to no stranger who did not ask for it", async () => {
    await using street = await Street.open();
    await using shed = await RelayNode.open();
    await shed.network.answerOn(street.garage.dialable, never);
    await until(() => street.garage.network.existing(shed.id) !== undefined);
    const link = await street.barn.network.link(street.garage.dialable, never);
    await assert.rejects(link.connect(`node:${shed.id}`, never), { code: "unreachable" });
    shed.chosen.add(street.garage.id);
    street.garage.relay.register({ id: shed.id, remote: "" });
    await link.connect(`node:${shed.id}`, never);
  });

  test("passes on nothing over a link that is itself passed on", async () => {
    await using street = await Street.open();
    await using cellar = await (await RelayNode.open({ relays: () => [street.garage.dialable] })).listen();
    await cellar.network.link({ id: street.attic.id, endpoints: [], via: [street.garage.id] }, never);
    cellar.relay.register({ id: street.attic.id, remote: "" });
    const link = await street.barn.network.link(cellar.dialable, never);
    await assert.rejects(link.connect(`node:${street.attic.id}`, never), { code: "unreachable" });
  });

  test("of which the owner wants it for friends alone refuses strangers, and registers none", async () => {
    await using street = await Street.open();
    await street.garage.relay.turn("friends");
    await assert.rejects(street.meet(), { code: "unreachable", message: /passes on links of friends alone/ });
    assert.throws(() => street.garage.relay.register({ id: fakeId(7), remote: "" }), { code: "not-allowed" });
  });

  test("of which the owner wants it for friends alone serves friends on", async () => {
    await using street = await Street.open({ rankOf: () => "trusted" });
    const link = await street.meet();
    await street.garage.relay.turn("friends");
    assert.ok((await link.ping(never)) > 0);
  });

  test("that is switched off ends at once what it passes on", async () => {
    await using street = await Street.open({ rankOf: () => "trusted" });
    const link = await street.meet();
    await street.garage.relay.turn("no");
    assert.equal((await link.ended)?.code, "link-lost");
    await assert.rejects(street.meet(), { code: "unreachable", message: /passes on no links/ });
    assert.equal(street.garage.relay.counts.streams, 0);
  });

  test("ends a stranger's stream that has had its bytes, counts it, and tells both ends why", async () => {
    await using street = await Street.open({ relay: { quotas: strangers({ bytesPerStream: 64 * 1024 }) } });
    const link = await street.meet();
    const tunnel = await link.connect("flood:", never);
    await ended(tunnel);
    const why = /^the relay ended the link via garage: it passes on 64KiB at a time for a stranger/;
    assert.match((await link.ended)?.message ?? "", why);
    await assert.rejects(link.ping(never), { code: "link-lost", message: why });
    await until(() => street.attic.limits.length > 0);
    for (const [node, peer] of [
      [street.barn, street.attic],
      [street.attic, street.barn],
    ] as const) {
      const [limit, ...more] = node.limits;
      assert.deepEqual([limit?.peer, limit?.path.via, more], [peer.id, street.garage.id, []]);
      assert.match(limit?.why.message ?? "", /it passes on 64KiB at a time for a stranger/);
      const told = node.network.attempts(peer.id).at(-1);
      assert.deepEqual([told?.path, told?.outcome, told?.reason], ["relayed", "link-lost", limit?.why.message]);
    }
    await until(() => street.garage.relay.counts.streams === 0);
    const { overQuota, bytes } = street.garage.relay.counts;
    assert.equal(overQuota, 1);
    assert.ok(bytes < 256 * 1024, `${bytes} bytes`);
  });

  test("ends a stranger's stream that has had its time", async () => {
    await using street = await Street.open({ relay: { quotas: strangers({ msPerStream: 300 }) } });
    const link = await street.meet();
    const why = await link.ended;
    assert.equal(why?.code, "link-lost");
    assert.match(why.message, /it passes a link on for .* for a stranger, and that is over/);
    await until(() => street.attic.limits.length > 0 && street.garage.relay.counts.streams === 0);
    assert.equal(street.garage.relay.counts.overQuota, 1);
  });

  test("ends what it passes on though neither end reads why", async () => {
    const deaf = { kind: "arrive", open: async () => (stream: Duplex) => void stream.pause() };
    const quotas = strangers({ msPerStream: 300 });
    await using garage = await (await RelayNode.open({ relay: { quotas } })).listen();
    await using attic = await RelayNode.open({ tunnels: [deaf] });
    await using barn = await RelayNode.open();
    await attic.chooses(garage);
    const stream = await (await barn.network.link(garage.dialable, never)).connect(`node:${attic.id}`, never);
    stream.on("error", () => {});
    await until(() => garage.relay.counts.overQuota === 1);
    await until(() => garage.relay.counts.streams === 0);
  });

  test("opens no more streams for a stranger than he may have, and says so", async () => {
    await using street = await Street.open({ relay: { quotas: strangers({ streams: 1 }) } });
    const link = await street.meet();
    const again = await street.barn.network.link(street.garage.dialable, never);
    await assert.rejects(again.connect(`node:${street.attic.id}`, never), { code: "busy" });
    link.close("enough");
    await until(() => street.garage.relay.counts.streams === 0);
    assert.ok((await (await street.meet()).ping(never)) > 0);
  });

  test("lets a stranger's bytes pass no faster than they may", async () => {
    await using street = await Street.open({ relay: { quotas: strangers({ bytesPerSecond: 128 * 1024 }) } });
    const tunnel = await (await street.meet()).connect("flood:", never);
    tunnel.resume();
    const begun = systemClock.now();
    await until(() => street.garage.relay.counts.bytes > 256 * 1024);
    assert.ok(systemClock.now() - begun > 700, `${systemClock.now() - begun} ms`);
  });

  test("lets the better known of the two pay, for those whom it knows itself", async () => {
    const [friends, guests] = [new Set<NodeId>(), new Set<NodeId>()];
    const rankOf = (id: NodeId) => (friends.has(id) ? "trusted" : "stranger");
    const relay = { quotas: strangers({ bytesPerStream: 1 }) };
    await using street = await Street.open({ rankOf, relay }, (id) => guests.has(id));
    await assert.rejects(street.meet());
    friends.add(street.attic.id);
    await assert.rejects(street.meet());
    guests.add(street.barn.id);
    assert.ok((await (await street.meet()).ping(never)) > 0);
  });

  test("leaves to a node what is its own, however many strangers ask for it", async () => {
    const friends = new Set<NodeId>();
    const rankOf = (id: NodeId) => (friends.has(id) ? "guest" : "stranger");
    const { ranks } = strangers({ streams: 2 });
    const quotas = { ranks: { ...ranks, guest: { ...defaultQuotas.guest, streams: 1 } } };
    await using street = await Street.open({ rankOf, relay: { quotas } }, (id) => id === desk.id);
    await using desk = await RelayNode.open({ relays: () => [street.garage.dialable] });
    friends.add(street.attic.id);
    const link = await street.barn.network.link(street.garage.dialable, never);
    const crowd = Array.from({ length: 6 }, () => link.connect(`node:${street.attic.id}`, never));
    const settled = await Promise.allSettled(crowd);
    assert.equal(settled.filter(({ status }) => status === "fulfilled").length, 2);
    for (const { reason } of settled.filter((one) => one.status === "rejected"))
      assert.match(String(reason), /for you|of yours/); // nothing of it was charged to attic
    await assert.rejects(link.connect(`node:${street.attic.id}`, never), { code: "busy", message: /for you/ });
    const target = { id: street.attic.id, endpoints: [], via: [street.garage.id] };
    assert.ok((await (await desk.network.link(target, never)).ping(never)) > 0);
  });

  test("gives a place back that nobody used in the end", async () => {
    await using street = await Street.open({ relay: { quotas: strangers({ streams: 1 }) } });
    street.attic.chosen.clear(); // and so it refuses
    await assert.rejects(street.meet(), { code: "unreachable", message: /did not choose you as its relay/ });
    street.attic.chosen.add(street.garage.id);
    assert.ok((await (await street.meet()).ping(never)) > 0);
  });

  test("holds little for a reader that stops", async () => {
    const flood = { kind: "arrive", open: async () => (stream: Duplex) => writeOn(stream) };
    await using garage = await (await RelayNode.open({ rankOf: () => "trusted" })).listen();
    await using attic = await RelayNode.open({ tunnels: [flood] });
    await using barn = await RelayNode.open();
    await attic.chooses(garage);
    const link = await barn.network.link(garage.dialable, never);
    const streams = await Promise.all(Array.from({ length: 16 }, () => link.connect(`node:${attic.id}`, never)));
    await settled(() => garage.relay.counts.bytes);
    const held = garage.relay.counts.bytes - streams.reduce((sum, stream) => sum + stream.readableLength, 0);
    assert.ok(garage.relay.counts.bytes > 1024 * 1024);
    assert.ok(held <= 32 * 1024 * 1024, `${held} bytes`);
  });

  test("lets one direction end while the other goes on", async () => {
    const late = { kind: "arrive", open: async () => (stream: Duplex) => answerAtEnd(stream) };
    await using garage = await (await RelayNode.open()).listen();
    await using attic = await RelayNode.open({ tunnels: [late] });
    await using barn = await RelayNode.open();
    await attic.chooses(garage);
    const stream = await (await barn.network.link(garage.dialable, never)).connect(`node:${attic.id}`, never);
    stream.end("what is the time?");
    assert.equal(String((await stream.toArray())[0]), "17 bytes");
  });
});

function strangers(quota: Partial<Quota>): QuotasOptions {
  return { ranks: { stranger: { ...defaultQuotas.stranger, ...quota } } };
}

/** attic is reached through garage alone, and barn knows it. */
class Street implements AsyncDisposable {
  readonly garage: RelayNode;
  readonly attic: RelayNode;
  readonly barn: RelayNode;

  /** @param knows whom attic knows */
  static async open(options: RelayNodeOptions = {}, knows: (id: NodeId) => boolean = () => false): Promise<Street> {
    const garage = await (await RelayNode.open(options)).listen();
    const flood = { kind: "flood", open: async () => (stream: Duplex) => writeOn(stream) };
    const attic = await RelayNode.open({ tunnels: [flood], knows });
    const barn = await RelayNode.open({ relays: () => [garage.dialable] });
    await attic.chooses(garage);
    return new Street(garage, attic, barn);
  }

  private constructor(garage: RelayNode, attic: RelayNode, barn: RelayNode) {
    this.garage = garage;
    this.attic = attic;
    this.barn = barn;
  }

  meet(): Promise<Link> {
    return this.barn.network.link({ id: this.attic.id, endpoints: [], via: [this.garage.id] }, never);
  }

  attempts(): readonly string[] {
    return this.barn.network
      .attempts(this.attic.id)
      .map(({ path, address, outcome }) => `${path} ${address} ${outcome}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const node of [this.barn, this.attic, this.garage]) await node[Symbol.asyncDispose]();
  }
}

function writeOn(stream: Duplex): void {
  const chunk = Buffer.alloc(16 * 1024);
  const more = () => {
    while (!stream.destroyed && stream.write(chunk));
  };
  stream.on("drain", more).on("error", () => {});
  more();
}

async function answerAtEnd(stream: Duplex): Promise<void> {
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
  });
  await once(stream, "end");
  stream.end(`${bytes} bytes`);
}

async function ended(stream: Duplex): Promise<void> {
  stream.on("error", () => {}).resume();
  if (!stream.closed) await new Promise<void>((resolve) => stream.once("close", resolve));
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    assert.ok(tries < 500, "it did not come about within 5 s");
    await systemClock.sleep(10, never);
  }
}

/** Waits until `measure` stays the same for 300 ms, at most 10 s. */
async function settled(measure: () => number): Promise<void> {
  let last = -1;
  for (let tries = 0; tries < 33 && last !== measure(); tries++) {
    last = measure();
    await systemClock.sleep(300, never);
  }
}
