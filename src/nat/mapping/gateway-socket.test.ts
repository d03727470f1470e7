import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { seededRandom, systemClock } from "../../base/index.ts";
import { GatewaySocket } from "./gateway-socket.ts";
import type { MapperDeps } from "./mapper.ts";
import { openNatPmp } from "./nat-pmp.ts";
import { openPcp } from "./pcp.ts";

const { signal } = new AbortController();
const GATEWAY = "127.0.0.11";

describe("GatewaySocket", () => {
  test("is no defect where the machine has lost its address, or has no way to the router", async () => {
    for (const [own, gateway] of [
      ["192.0.2.77", GATEWAY],
      ["127.0.0.1", "fe80::1%nowhere"],
    ] as const)
      await assert.rejects(GatewaySocket.open({ own, gateway }, systemClock, signal), { code: "unreachable" });
  });

  test("asks again until it is answered, and gives up in time", async () => {
    await using router = await openRouter(() => undefined);
    const clock = new VirtualClock();
    await using socket = await GatewaySocket.open({ own: "127.0.0.1", gateway: GATEWAY }, clock, signal);
    const asking = assert.rejects(
      socket.ask(Buffer.from([1]), () => true, signal),
      { code: "unreachable" },
    );
    await clock.advance(1_000);
    await asking;
    for (let turn = 0; turn < 50 && router.heard.length < 3; turn++) await clock.advance(0);
    assert.deepEqual([router.heard.length, clock.sleeperCount], [3, 0]);
  });
});

describe("a router's answers", () => {
  for (const [what, reply] of [
    ["nothing at all", Buffer.alloc(0)],
    ["one byte", Buffer.from([2])],
    ["half a header", Buffer.alloc(20, 2)],
    ["zeros", Buffer.alloc(60)],
    ["its question", undefined],
    ["too much", Buffer.alloc(1_200, 2)],
  ] as const) {
    test(`are not taken for answers where they are ${what}`, async () => {
      await using _router = await openRouter((question) => reply ?? question);
      for (const open of [openPcp, openNatPmp])
        await assert.rejects(open(deps, signal), (error) => error instanceof Error && "code" in error, open.name);
    });
  }

  test("of NAT-PMP say what a person can understand", async () => {
    await using _router = await openRouter(([version = 0, opcode = 0]) => {
      if (version !== 0) return undefined;
      const reply = Buffer.alloc(16);
      reply[1] = opcode + 128;
      if (opcode !== 0) reply.writeUInt16BE(2, 2);
      return reply;
    });
    await using mapper = await openNatPmp(deps, signal);
    const mapping = mapper.map({ protocol: "tcp", port: 8088 }, undefined, signal);
    await assert.rejects(mapping, { code: "not-allowed", message: "the router does not allow it" });
  });

  test("of PCP count only for the mapping that was asked for", async () => {
    await using _router = await openRouter((question) => {
      const reply = Buffer.from(question);
      reply[1] = (reply[1] ?? 0) | 0x80;
      reply[3] = 0;
      if (question.length > 24) reply[24] = (reply[24] ?? 0) ^ 1; // another nonce
      return reply;
    });
    await using mapper = await openPcp(deps, signal);
    const mapping = mapper.map({ protocol: "tcp", port: 8088 }, undefined, signal);
    await assert.rejects(mapping, { code: "unreachable" });
  });
});

/** What both protocols make of a router's words about where the port is open. */
describe("a mapping", () => {
  for (const [open, router] of [
    [openPcp, pcpRouter],
    [openNatPmp, natPmpRouter],
  ] as const) {
    test(`is none by ${open.name} where the port outside is 0`, async () => {
      await using _router = await openRouter(router({ port: 0, address: [20, 7, 7, 7] }));
      await using mapper = await open(deps, signal);
      await assert.rejects(mapper.map({ protocol: "tcp", port: 8088 }, undefined, signal), { code: "bad-reply" });
    });

    test(`has no address by ${open.name} where the router has none`, async () => {
      for (const [address, expected] of [
        [[0, 0, 0, 0], undefined],
        [[20, 7, 7, 7], "20.7.7.7"],
      ] as const) {
        await using _router = await openRouter(router({ port: 9_000, address }));
        await using mapper = await open(deps, signal);
        const lease = await mapper.map({ protocol: "tcp", port: 8088 }, undefined, signal);
        assert.deepEqual([lease.external, lease.address], [9_000, expected]);
      }
    });
  }
});

interface Outside {
  readonly port: number;
  readonly address: readonly number[];
}

function pcpRouter({ port, address }: Outside) {
  return (question: Buffer) => {
    const reply = Buffer.from(question);
    reply[1] = (reply[1] ?? 0) | 0x80;
    reply[3] = 0;
    if (question.length > 24) {
      reply.writeUInt16BE(port, 42);
      reply.set([...Array<number>(10).fill(0), 255, 255, ...address], 44);
    }
    return reply;
  };
}

function natPmpRouter({ port, address }: Outside) {
  return (question: Buffer) => {
    if (question[0] !== 0) return undefined;
    const reply = Buffer.alloc(16);
    reply[1] = (question[1] ?? 0) + 128;
    if (question.length === 2) reply.set(address, 8);
    else reply.set([...question.subarray(4, 6), port >> 8, port & 255], 8);
    return reply;
  };
}

const deps: MapperDeps = {
  gateway: { address: GATEWAY, family: 4, own: ["127.0.0.1"] },
  own: "127.0.0.1",
  clock: systemClock,
  random: seededRandom(1),
};

/** Something on port 5351 of loopback that answers as it likes. */
async function openRouter(answer: (question: Buffer) => Buffer | undefined) {
  const socket = createSocket("udp4");
  const heard: Buffer[] = [];
  socket.on("message", (question, { address, port }) => {
    heard.push(question);
    const reply = answer(question);
    if (reply !== undefined) socket.send(reply, port, address);
  });
  socket.bind(5351, GATEWAY);
  await once(socket, "listening");
  return {
    heard,
    [Symbol.asyncDispose]: async () => {
      socket.close();
      await once(socket, "close");
    },
  };
}
