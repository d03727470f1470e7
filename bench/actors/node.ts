/**
 * One end of a link, made of the product's own network room: it answers `CONNECT` streams and opens them.
 *
 * Targets: `source:<bytes>` sends that much (0: without end), `echo:` sends back what comes, `tcp:<port>` is a
 * service on this machine's loopback.
 */

import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import type { Duplex } from "node:stream";
import { silentLog, splice, systemClock, systemRandom } from "../../src/base/index.ts";
import { identityFromSeed, type Link, Network, Answering, Punch, TcpCarrier } from "../../src/network/index.ts";
import { recordOf } from "../../test/support/punch-lab.ts";
import { act } from "../support/actor.ts";
import { drain, source } from "../support/octets.ts";
import type { NodeId } from "../../src/core/index.ts";

export interface End {
  readonly id: NodeId;
  readonly port: number;
  /** It is reached by UDP, and the DHT is at that port. @default by TCP */
  readonly punched?: boolean;
}

const LOOPBACK = "127.0.0.1";
const never = new AbortController().signal;
const identity = await identityFromSeed(randomBytes(32));
const answering = new Answering(systemClock, { isKnown: () => true });
const network = new Network({
  id: identity.id,
  carrier: new TcpCarrier({ identity, clock: systemClock, isTrusted: () => true }),
  answering,
  clock: systemClock,
  log: silentLog,
  isTrusted: () => true,
  isKnown: () => true,
});
answering.attach(
  (_request, response) => void response.end(),
  (tunnel) => {
    const [kind = "", rest = ""] = tunnel.target.split(":");
    carry(kind, rest, tunnel.accept());
  },
);
const held: Duplex[] = [];

const part = {
  async listen(): Promise<End> {
    const { endpoints } = await network.listen({ port: 0, hosts: [LOOPBACK] }, never);
    return { id: identity.id, port: endpoints[0]?.port ?? 0 };
  },

  /** Is a DHT of its own, on four ports from this one on. */
  async listenPunched({ port }: { port: number }): Promise<End> {
    const punch = punchFrom(port, []);
    punch.setRole({ answers: true, port, publicHost: LOOPBACK });
    while (!punch.state.answers) await new Promise((resolve) => setTimeout(resolve, 10));
    return { id: identity.id, port, punched: true };
  },

  /** @returns milliseconds from the first CONNECT to the last byte; the link was there before */
  async pull({ end, streams, bytes }: { end: End; streams: number; bytes: number }): Promise<number> {
    const link = await linkTo(end);
    const from = performance.now();
    const each = async () => {
      const stream = await link.connect(`source:${bytes / streams}`, never);
      await drain(stream, bytes / streams);
    };
    await Promise.all(Array.from({ length: streams }, each));
    return performance.now() - from;
  },

  /** A port on this machine's loopback that leads to `to` on the other end's. @returns its number */
  async forward({ end, to }: { end: End; to: number }): Promise<number> {
    const link = await linkTo(end);
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      link.connect(`tcp:${to}`, never).then(
        (stream) => void splice(socket, stream),
        () => socket.destroy(),
      );
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  },

  /** Opens streams that never end, and reads none of them. */
  async hold({ end, streams }: { end: End; streams: number }): Promise<void> {
    const link = await linkTo(end);
    for (let i = 0; i < streams; i++) held.push(await link.connect("source:0", never));
    for (const stream of held) stream.on("error", () => {});
  },

  /** What the held streams hold here, and how many of them the link has reset. */
  held(): { bytes: number; reset: number } {
    const open = held.filter((stream) => !stream.destroyed);
    return { bytes: open.reduce((sum, stream) => sum + stream.readableLength, 0), reset: held.length - open.length };
  },

  /** @returns the round trips of one byte through a stream of its own, in milliseconds */
  async echo({ end, times }: { end: End; times: number }): Promise<number[]> {
    const link = await linkTo(end);
    const stream = await link.connect("echo:", never);
    const trips: number[] = [];
    for (let i = 0; i < times; i++) {
      const from = performance.now();
      stream.write("x");
      await once(stream, "data");
      trips.push(performance.now() - from);
    }
    stream.end();
    return trips;
  },

  /** What the process needs after a collection, in bytes. */
  async rss(): Promise<number> {
    for (let i = 0; i < 3; i++) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return process.memoryUsage.rss();
  },
};

const dhts = new Map<number, Punch>();

function linkTo({ id, port, punched = false }: End): Promise<Link> {
  if (punched && !dhts.has(port)) dhts.set(port, punchFrom(port + 8, [{ host: LOOPBACK, port }]));
  const endpoints = punched ? [] : [{ host: LOOPBACK, port }];
  return network.link({ id, endpoints, via: [] }, never);
}

function punchFrom(port: number, bootstrap: readonly { readonly host: string; readonly port: number }[]): Punch {
  const punch = new Punch(
    {
      identity,
      bootstrap: () => bootstrap,
      mayReach: () => true,
      take: (pipe) => network.take(pipe),
      isKnown: () => true,
      record: () => recordOf(identity),
      clock: systemClock,
      random: systemRandom,
      log: silentLog,
    },
    { answers: false, port },
    { host: LOOPBACK },
  );
  network.addPassage(punch);
  void punch.run(never);
  return punch;
}

function carry(kind: string, rest: string, stream: Duplex): void {
  stream.on("error", () => {}); // the other end is done
  if (kind === "echo") stream.pipe(stream);
  else if (kind === "source") source(rest === "0" ? Number.POSITIVE_INFINITY : Number(rest)).pipe(stream);
  else void splice(connect({ port: Number(rest), host: "127.0.0.1", allowHalfOpen: true }), stream);
}

export type NodePart = typeof part;
act(part);
