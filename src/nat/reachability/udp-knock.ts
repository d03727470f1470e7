/**
 * Whether a DHT endpoint can be reached by UDP from somewhere that it never sent anything to.
 *
 * What knocks is a PING of dht-rpc (version 3; lib/io.js), 11 bytes from a fresh socket, so that a running endpoint
 * answers by itself. Where none runs yet, because whether it is reachable decides how it is made, `answerKnocks` does.
 */

import { createSocket, type Socket } from "node:dgram";
import { type Clock, Scope } from "../../base/index.ts";
import type { Endpoint } from "../../core/index.ts";

const REQUEST = 0x03;
const REPLY = 0x13;
/** A command of the DHT itself, without id, token, target or value. */
const INTERNAL = 4;
const PING = 0;
const KNOCK_BYTES = 11;
/** As long as a dial by TCP may take. */
const KNOCKS = 6;
const EVERY_MS = 450;

/** @returns whether something answered as a DHT endpoint does. IPv4 only, as the DHT */
export async function knockUdp(
  { host, port }: Endpoint,
  { clock, nonce }: { readonly clock: Clock; readonly nonce: number },
  signal: AbortSignal,
): Promise<boolean> {
  await using scope = new Scope(signal);
  const socket = createSocket("udp4");
  scope.defer(() => void socket.close());
  const { promise, resolve } = Promise.withResolvers<boolean>();
  socket.on("error", () => resolve(false)); // no route to there
  socket.on("message", (reply, from) => {
    const fits = reply[0] === REPLY && reply.length >= KNOCK_BYTES - 1 && reply.readUInt16LE(2) === nonce;
    if (fits && from.address === host && from.port === port) resolve(true);
  });
  const onAbort = () => resolve(false);
  scope.signal.addEventListener("abort", onAbort, { once: true });
  scope.spawn(async (running) => {
    for (let n = 0; n < KNOCKS; n++) {
      socket.send(knock(nonce, { host, port }), port, host, (error) => error !== null && resolve(false));
      await clock.sleep(EVERY_MS, running);
    }
    resolve(false);
  });
  return await promise;
}

/** Answers knocks at `port` until `signal` aborts. A port that is in use has somebody who answers himself. */
export async function answerKnocks(port: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const socket = createSocket("udp4");
  const { promise, resolve } = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => resolve(), { once: true });
  socket.on("error", () => resolve());
  socket.on("message", (packet, { address, port: from }) => answer(socket, packet, { host: address, port: from }));
  socket.bind(port, "0.0.0.0");
  await promise;
  socket.removeAllListeners("message");
  socket.close();
}

function answer(socket: Socket, packet: Buffer, from: Endpoint): void {
  // Never larger than what asked: nobody can be flooded with it.
  if (packet.length !== KNOCK_BYTES || packet[0] !== REQUEST || packet[1] !== INTERNAL) return;
  const reply = Buffer.from([REPLY, 0, packet[2] ?? 0, packet[3] ?? 0, ...peerBytes(from)]);
  socket.send(reply, from.port, from.host);
}

function knock(nonce: number, to: Endpoint): Buffer {
  return Buffer.from([REQUEST, INTERNAL, nonce & 255, nonce >> 8, ...peerBytes(to), PING]);
}

function peerBytes({ host, port }: Endpoint): number[] {
  return [...host.split(".").map(Number), port & 255, port >> 8];
}
