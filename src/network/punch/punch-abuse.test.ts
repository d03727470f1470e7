import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { readdirSync } from "node:fs";
import { platform } from "node:os";
import { describe, test } from "node:test";
import { newKeys, PunchAttacker } from "../../../test/support/punch-attacker.ts";
import { PunchLab, until } from "../../../test/support/punch-lab.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { systemClock, systemRandom } from "../../base/index.ts";
import { nodeIdFromPublicKey, publicKeyFromNodeId } from "../../core/index.ts";
import type { SecretStream } from "./engine.ts";
import { greet } from "./greeting.ts";

describe("a node that others punch through to", () => {
  test("takes nobody in by a first message that was heard before, and forgets it after 5 s", async () => {
    await using lab = await PunchLab.open();
    await using mallory = await PunchAttacker.open(lab.port);
    const friend = newKeys();
    const isKnown = (id: string) => id === nodeIdFromPublicKey(friend.publicKey);
    const seed = randomBytes(32);
    const first = await lab.node({ answers: true, seed, isKnown });
    const heard = mallory.firstMessage(first.identity, { firewall: OPEN }, friend);
    await first.punch[Symbol.asyncDispose](); // to it the message would be a copy: it is the next one that cannot know
    const clock = new VirtualClock();
    const attic = await lab.node({ answers: true, seed, clock, isKnown });
    mallory.send(heard, attic.identity, lab.port);
    await until(() => attic.punch.state.connections === 1); // the library shows one of the friend's
    await clock.advance(4_999);
    assert.deepEqual([attic.pipes.length, attic.punch.state.connections], [0, 1]);
    await clock.advance(1);
    await until(() => attic.punch.state.connections === 0);
    assert.equal(attic.pipes.length, 0);
  });

  test("ends a stream on which nobody speaks after 5 s", async () => {
    const clock = new VirtualClock();
    await using lab = await PunchLab.open();
    await using mallory = await PunchAttacker.open(lab.port);
    const attic = await lab.node({ answers: true, clock });
    const stream = mallory.connect(attic.identity);
    await until(() => attic.punch.state.connections === 1);
    await clock.advance(5_000);
    await until(() => stream.destroyed && attic.punch.state.connections === 0);
    assert.equal(attic.pipes.length, 0);
  });

  test("holds few handshakes of strangers at once, while hundreds come in a second, and friends get through", async () => {
    await using lab = await PunchLab.open();
    await using mallory = await PunchAttacker.open(lab.port);
    const friend = await lab.node();
    const attic = await lab.node({ answers: true, isKnown: (id) => id === friend.identity.id });
    const before = openFiles();
    const flood = Array.from({ length: 300 }, () => mallory.firstMessage(attic.identity));
    let most = 0;
    const sent = flood.map(async (noise, number) => {
      await systemClock.sleep(number * 3, lab.signal);
      mallory.send(noise, attic.identity, lab.port);
      most = Math.max(most, attic.punch.state.pending);
    });
    const dialled = friend.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
    await Promise.all(sent);
    assert.equal((await dialled).peer, attic.identity.id);
    assert.ok(most >= 4 && most <= 9, `${most} at once: 8 of one address, and the friend's`);
    assert.ok(openFiles() - before < 40, `${openFiles() - before} more files are open`);
  });

  test("has time for few key exchanges a second", async () => {
    await using lab = await PunchLab.open({ maxTries: 5, tryEveryMs: 100_000 });
    await using mallory = await PunchAttacker.open(lab.port);
    const attic = await lab.node({ answers: true, maxTries: 3, tryEveryMs: 100_000, maxPendingPerGroup: 100 });
    const flood = Array.from({ length: 20 }, () => mallory.firstMessage(attic.identity));
    for (const noise of flood) mallory.send(noise, attic.identity, lab.port);
    await until(() => attic.punch.state.pending === 3);
    await systemClock.sleep(200, lab.signal);
    assert.equal(attic.punch.state.pending, 3);
  });

  test("dials nobody whom a stranger names as a relay", async () => {
    await using lab = await PunchLab.open();
    await using mallory = await PunchAttacker.open(lab.port);
    const victim = await lab.node({ answers: true });
    const attic = await lab.node({ answers: true });
    const publicKey = Buffer.from(publicKeyFromNodeId(victim.identity.id));
    const relayThrough = { publicKey, token: randomBytes(32) };
    mallory.send(mallory.firstMessage(attic.identity, { relayThrough }), attic.identity, lab.port);
    await systemClock.sleep(300, lab.signal);
    assert.equal(attic.punch.state.pending, 0);
    assert.deepEqual([victim.punch.state.pending, victim.punch.state.connections], [0, 0]);
    mallory.send(mallory.firstMessage(attic.identity), attic.identity, lab.port);
    await until(() => attic.punch.state.pending === 1); // which names none
  });

  test("sets nothing aside for a frame that says it is 16 MiB long", async () => {
    await using lab = await PunchLab.open();
    await using mallory = await PunchAttacker.open(lab.port);
    const attic = await lab.node({ answers: true });
    const stream = await greeted(mallory, attic);
    const memory = process.memoryUsage().arrayBuffers;
    stream.rawStream?.write(Buffer.concat([Buffer.from("ffffff", "hex"), Buffer.alloc(1_000)]));
    await until(() => attic.pipes[0]?.duplex.destroyed === true);
    assert.ok(process.memoryUsage().arrayBuffers - memory < 4 * 1024 * 1024);
  });

  test("cuts off who sends on and on while nobody reads", async () => {
    await using lab = await PunchLab.open();
    await using mallory = await PunchAttacker.open(lab.port);
    const attic = await lab.node({ answers: true });
    const stream = await greeted(mallory, attic);
    const memory = process.memoryUsage().rss;
    const chunk = Buffer.alloc(64 * 1024);
    const closed = event(stream, "close");
    for (let sent = 0; sent < 640 && !stream.destroyed; sent++) {
      if (!stream.write(chunk)) await Promise.race([event(stream, "drain"), closed]);
    }
    await until(() => attic.pipes[0]?.duplex.destroyed === true);
    assert.ok(process.memoryUsage().rss - memory < 48 * 1024 * 1024);
  });
});

/** hyperdht lib/constants.js: whoever says this of himself is answered at once, without punching. */
const OPEN = 1;

async function greeted(mallory: PunchAttacker, attic: Awaited<ReturnType<PunchLab["node"]>>): Promise<SecretStream> {
  const stream = mallory.connect(attic.identity);
  await event(stream, "open");
  await greet(stream, { clock: systemClock, random: systemRandom, asks: true }, new AbortController().signal);
  await until(() => attic.pipes.length === 1);
  return stream;
}

function event(stream: SecretStream, name: string): Promise<unknown> {
  return new Promise((resolve) => stream.once(name, resolve));
}

function openFiles(): number {
  return platform() === "linux" ? readdirSync("/proc/self/fd").length : 0;
}
