import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { describe, test } from "node:test";
import { PassThrough } from "node:stream";
import { fakeId } from "../../../test/support/fake-link.ts";
import { Scope, seededRandom, systemClock } from "../../base/index.ts";
import { AllowedNetworks, Failure } from "../../core/index.ts";
import type { DialRequest, Pipe } from "../../network/index.ts";
import { identityFromSeed, TcpCarrier } from "../../network/index.ts";
import { DialBack } from "./dial-back.ts";
import { answerKnocks, knockUdp } from "./udp-knock.ts";

const { signal } = new AbortController();
const me = fakeId(1);

describe("DialBack", () => {
  test("dials the address that it sees the asker at, expects his key, and hangs up", async () => {
    const dialled: DialRequest[] = [];
    const duplex = new PassThrough();
    const dialBack = lab(async (request) => {
      dialled.push(request);
      return { duplex } as unknown as Pipe;
    });
    const reply = await dialBack.check({ id: me, remote: "127.0.0.5:50000" }, { tcp: 8088 }, signal);
    assert.deepEqual(dialled, [{ endpoint: { host: "127.0.0.5", port: 8088 }, expect: me, asks: true }]);
    assert.deepEqual([reply.observed, reply.tcp.outcome, duplex.destroyed], ["127.0.0.5", "open", true]);
  });

  test("dials nobody on a LAN, at a port of the system, or behind a relay", async () => {
    const dialBack = lab(async () => assert.fail("dialled"));
    for (const [remote, tcp] of [
      ["192.168.0.7:50000", 8088],
      ["[::1]:50000", 8088],
      ["20.0.0.1:50000", 22],
      ["20.0.0.1:50000", 6379],
      ["through garage", 8088],
    ] as const)
      await assert.rejects(dialBack.check({ id: me, remote }, { tcp }, signal), { code: "not-supported" });
  });

  test("tells what it came to: refused, silent, somebody else", async () => {
    await using scope = new Scope();
    const server = createServer((socket) => socket.resume().end("SSH-2.0-nothing\r\n"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    scope.defer(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const carrier = new TcpCarrier({
      identity: await identityFromSeed(new Uint8Array(32).fill(3)),
      clock: systemClock,
      isTrusted: () => true,
    });
    const dialBack = lab((request, ending) => carrier.dial(request, ending));
    const outcome = async (tcp: number) =>
      (await dialBack.check({ id: me, remote: "127.0.0.1:50000" }, { tcp }, signal)).tcp.outcome;
    assert.equal(await outcome(port), "stranger");
    server.close();
    await once(server, "close");
    assert.equal(await outcome(port), "refused");
    const silent = lab(async () => {
      throw new Failure("timed-out", "no answer");
    });
    assert.equal((await silent.check({ id: me, remote: "127.0.0.1:1" }, { tcp: 8088 }, signal)).tcp.outcome, "silent");
  });

  test("knocks at the UDP port too, where one is named", async () => {
    await using scope = new Scope();
    const port = await freeUdpPort();
    scope.spawn((running) => answerKnocks(port, running));
    const dialBack = lab(async () => ({ duplex: new PassThrough() }) as unknown as Pipe);
    const ask = (udp: number) => dialBack.check({ id: me, remote: "127.0.0.1:50000" }, { tcp: 8088, udp }, signal);
    assert.equal((await ask(port)).udp?.outcome, "open");
    assert.equal((await ask(await freeUdpPort())).udp?.outcome, "silent");
  });
});

describe("knockUdp", () => {
  test("takes no answer to another question, and none from elsewhere", async () => {
    const liar = createSocket("udp4");
    liar.bind(0, "127.0.0.1");
    await once(liar, "listening");
    liar.on("message", (packet, from) => {
      const reply = Buffer.from([0x13, 0, (packet[2] ?? 0) ^ 1, packet[3] ?? 0, 0, 0, 0, 0, 0, 0]);
      liar.send(reply, from.port, from.address);
    });
    const knocked = await knockUdp(
      { host: "127.0.0.1", port: liar.address().port },
      { clock: systemClock, nonce: 77 },
      signal,
    );
    liar.close();
    assert.equal(knocked, false);
  });
});

describe("answerKnocks", () => {
  test("is content with a port that somebody has, and with an end before the start", async () => {
    const taken = createSocket("udp4");
    taken.bind(0, "0.0.0.0");
    await once(taken, "listening");
    await answerKnocks(taken.address().port, signal);
    taken.close();
    await answerKnocks(1, AbortSignal.abort());
  });

  test("answers nothing but knocks, and never with more than it was sent", async () => {
    await using scope = new Scope();
    const port = await freeUdpPort();
    scope.spawn((running) => answerKnocks(port, running));
    const asker = createSocket("udp4");
    const replies: Buffer[] = [];
    asker.on("message", (reply) => replies.push(reply));
    for (const packet of [
      [],
      [3],
      [3, 4, 1, 2],
      Array.from({ length: 400 }, () => 3),
      [3, 4, 1, 2, 0, 0, 0, 0, 0, 0, 0],
    ])
      asker.send(Buffer.from(packet), port, "127.0.0.1");
    await once(asker, "message");
    asker.close();
    assert.deepEqual(
      replies.map((reply) => [reply[0], reply.readUInt16LE(2), reply.length <= 11]),
      [[0x13, 0x0201, true]],
    );
  });
});

function lab(dial: (request: DialRequest, signal: AbortSignal) => Promise<Pipe>): DialBack {
  const allowed = AllowedNetworks.parse(["127.0.0.0/8"]);
  return new DialBack({ carrier: { dial }, allowed, clock: systemClock, random: seededRandom(1) });
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}
