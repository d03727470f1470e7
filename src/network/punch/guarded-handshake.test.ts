import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Address, Handshake, NoisePayload } from "./engine.ts";
import { GuardedHandshake, type HandshakeGuard, mayPunchAt } from "./guarded-handshake.ts";

const good = { host: "198.51.100.7", port: 8088 };
const home = { host: "192.168.1.1", port: 8088 };

describe("GuardedHandshake", () => {
  test("drops addresses to which nobody should be sent, and all but the first four", () => {
    const many = [home, good, good, good, good, good];
    const relays = [pair(good, good), pair(good, home), pair(home, good)];
    const read = received({ addresses4: many, relayAddresses: [home, good], holepunch: { id: 3, relays } });
    assert.deepEqual(read.addresses4, [good, good, good]);
    assert.deepEqual(read.relayAddresses, [good]);
    assert.deepEqual(read.holepunch, { id: 3, relays: [pair(good, good)] });
  });

  test("refuses whoever names a relay: this node would dial it", () => {
    const relayThrough = { publicKey: Buffer.alloc(32), token: Buffer.alloc(32) };
    assert.throws(() => received({ relayThrough }), /a relay was named/);
  });

  test("asks before a message is read", () => {
    const beforeReading = () => {
      throw new Error("too many");
    };
    assert.throws(() => received({}, { mayReach: () => true, beforeReading }), /too many/);
  });

  test("tells which stream an answer speaks of", () => {
    const told: unknown[] = [];
    const guard = { mayReach: () => true, onAnswer: (key: Buffer, id: number) => void told.push(key[0], id) };
    new GuardedHandshake(inner({}), guard).send({ ...payload, udx: { reusableSocket: false, id: 42, seq: 0 } });
    assert.deepEqual(told, [5, 42]);
  });
});

describe("mayPunchAt", () => {
  test("takes a few addresses, all of which may be reached", () => {
    const may = mayPunchAt(({ host }) => host !== home.host);
    assert.equal(may(0, 0, [good]), true);
    assert.equal(may(0, 0, [good, home]), false);
    assert.equal(may(0, 0, [good, good, good, good, good]), false);
  });

  test("takes an address without a port, as a symmetric NAT has it", () => {
    const may = mayPunchAt(({ host, port }) => host === good.host && port >= 1_024);
    assert.equal(may(0, 0, [{ ...good, port: 0 }]), true);
    assert.equal(may(0, 0, [{ ...home, port: 0 }]), false);
    assert.equal(may(0, 0, [{ ...good, port: 53 }]), false);
  });
});

const payload: NoisePayload = {
  firewall: 0,
  holepunch: null,
  addresses4: [],
  udx: null,
  relayThrough: null,
  relayAddresses: null,
};

function received(part: Partial<NoisePayload>, guard?: HandshakeGuard): NoisePayload {
  const mayReach = ({ host }: Address) => host !== home.host;
  return new GuardedHandshake(inner(part), guard ?? { mayReach }).recv(Buffer.alloc(0));
}

function inner(part: Partial<NoisePayload>): Handshake {
  return {
    remotePublicKey: Buffer.alloc(32, 5),
    send: () => Buffer.alloc(0),
    recv: () => ({ ...payload, ...part }),
    final: () => undefined,
  };
}

function pair(relayAddress: Address, peerAddress: Address) {
  return { relayAddress, peerAddress };
}
