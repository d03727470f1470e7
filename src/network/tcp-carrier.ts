/**
 * The carrier that most links use: TLS over TCP, IPv6 and IPv4.
 *
 * Whoever connects costs something before he has said who he is, so handshakes under way, pipes per
 * address and pipes in all are capped here. Trusted addresses (loopback, LAN, allowed networks) have
 * no cap of their own.
 */

import { isIPv6, type Server, Socket } from "node:net";
import { type Clock, isAbort, Scope, within } from "../base/index.ts";
import { type Endpoint, Failure, formatEndpoint, remoteGroup } from "../core/index.ts";
import type { Carrier, DialRequest, Listener, ListenOptions, Pipe } from "./carrier.ts";
import { HalfOpen } from "./half-open.ts";
import type { Identity } from "./identity.ts";
import { listenTcp } from "./listen-tcp.ts";
import { type SecureEnd, Tls } from "./tls.ts";

export interface TcpCarrierDeps {
  readonly identity: Identity;
  readonly clock: Clock;
  /** Addresses that the caps per address leave alone. */
  readonly isTrusted: (address: string) => boolean;
  /** Told of a defect in taking somebody in; the listener goes on. @default it is thrown where nobody catches it */
  readonly onDefect?: (error: unknown) => void;
}

export interface TcpCarrierOptions {
  /** From SYN to a proven key. Two round trips; generous for a satellite line. @default 10_000 */
  readonly handshakeTimeoutMs?: number;
  /** Inbound handshakes under way at once. @default 64 */
  readonly maxHandshakes?: number;
  /** Of these, of one untrusted machine: an IPv4 address or an IPv6 /64. @default 8 */
  readonly maxHandshakesPerAddress?: number;
  /** Inbound pipes of one untrusted machine. @default 16 */
  readonly maxPipesPerAddress?: number;
  /** Inbound pipes in all. @default 512 */
  readonly maxPipes?: number;
}

export class TcpCarrier implements Carrier {
  readonly #deps: TcpCarrierDeps;
  readonly #options: Required<TcpCarrierOptions>;
  readonly #tls: Tls;

  constructor(deps: TcpCarrierDeps, options: TcpCarrierOptions = {}) {
    this.#deps = deps;
    this.#tls = new Tls(deps.identity);
    this.#options = {
      handshakeTimeoutMs: options.handshakeTimeoutMs ?? 10_000,
      maxHandshakes: options.maxHandshakes ?? 64,
      maxHandshakesPerAddress: options.maxHandshakesPerAddress ?? 8,
      maxPipesPerAddress: options.maxPipesPerAddress ?? 16,
      maxPipes: options.maxPipes ?? 512,
    };
  }

  async dial({ endpoint, expect, asks, from }: DialRequest, signal: AbortSignal): Promise<Pipe> {
    const end = await this.#inTime(endpoint, signal, async (attempt) =>
      this.#tls.dial(await connectTcp(endpoint, from, attempt), { expect, asks }, attempt),
    );
    return pipeFrom(end, asks, formatEndpoint(endpoint));
  }

  async listen(onPipe: (pipe: Pipe) => void, options: ListenOptions, signal: AbortSignal): Promise<Listener> {
    const scope = new Scope();
    const sockets = new Set<Socket>();
    const perGroup = new Map<string, number>();
    const { maxHandshakes, maxHandshakesPerAddress, maxPipes, maxPipesPerAddress } = this.#options;
    const halfOpen = new HalfOpen({ max: maxHandshakes, maxPerGroup: maxHandshakesPerAddress });
    const accept = async (socket: Socket, ending: AbortSignal) => {
      const address = plainAddress(socket.remoteAddress ?? "");
      const remote = formatEndpoint({ host: address, port: socket.remotePort ?? 0 });
      const [group, isTrusted] = [remoteGroup(remote), this.#deps.isTrusted(address)];
      const count = perGroup.get(group) ?? 0;
      const crowded = count >= maxPipesPerAddress && !isTrusted;
      const newcomer = { group, isTrusted, destroy: () => void socket.destroy() };
      if (sockets.size >= maxPipes || crowded || address === "" || !halfOpen.add(newcomer)) {
        socket.destroy();
        return;
      }
      sockets.add(socket);
      perGroup.set(group, count + 1);
      socket.once("close", () => {
        sockets.delete(socket);
        const left = (perGroup.get(group) ?? 1) - 1;
        if (left === 0) perGroup.delete(group);
        else perGroup.set(group, left);
      });
      try {
        socket.setNoDelay(true);
        const end = await this.#inTime(undefined, ending, (attempt) => this.#tls.accept(socket, attempt));
        onPipe(pipeFrom(end, end.protocol === "reverse", remote));
      } catch (error) {
        socket.destroy();
        this.#judge(error, ending);
      } finally {
        halfOpen.delete(newcomer);
      }
    };
    try {
      const servers = await listenTcp((server) => onConnection(server, scope, accept), options, signal);
      // In reverse: first no new ones, then none at all; a server has closed when its last socket has.
      for (const server of servers) scope.defer(() => closed(server));
      scope.defer(() => {
        for (const server of servers) server.close();
        for (const socket of sockets) socket.destroy();
      });
      return { endpoints: servers.map(endpointOf), [Symbol.asyncDispose]: () => scope.close() };
    } catch (error) {
      await scope.close();
      throw error;
    }
  }

  /** A stranger's failed handshake is his concern. A defect must not end the listener: others would find nobody here. */
  #judge(error: unknown, signal: AbortSignal): void {
    const { onDefect = surface } = this.#deps;
    if (!(error instanceof Failure || isAbort(error, signal))) onDefect(error);
  }

  #inTime<T>(
    endpoint: Endpoint | undefined,
    signal: AbortSignal,
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const timeoutMs = this.#options.handshakeTimeoutMs;
    const where = endpoint === undefined ? "" : ` at ${formatEndpoint(endpoint)}`;
    const late = () => new Failure("timed-out", `no answer${where} within ${timeoutMs / 1000} s`);
    return within({ clock: this.#deps.clock, timeoutMs, late }, work, signal);
  }
}

function surface(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

function onConnection(
  server: Server,
  scope: Scope,
  accept: (socket: Socket, signal: AbortSignal) => Promise<void>,
): void {
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => {}); // "close" follows
    if (scope.signal.aborted) socket.destroy();
    else scope.spawn((signal) => accept(socket, signal));
  });
}

function connectTcp({ host, port }: Endpoint, from: string | undefined, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = new Socket();
    const onAbort = () => {
      socket.destroy();
      reject(signal.reason as Error);
    };
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("connect", () => {
      signal.removeEventListener("abort", onAbort);
      socket.setNoDelay(true);
      resolve(socket);
    });
    socket.on("error", (cause: NodeJS.ErrnoException) => {
      signal.removeEventListener("abort", onAbort);
      reject(new Failure("unreachable", connectErrors[cause.code ?? ""] ?? cause.message, { cause }));
    });
    const own = from === undefined ? {} : { localAddress: from };
    socket.connect({ host, port, ...own, autoSelectFamily: false }); // happy eyeballs are ours, over all carriers
  });
}

/** What `why` says instead of the kernel's words. */
const connectErrors: Readonly<Record<string, string>> = {
  ECONNREFUSED: "refused: nothing listens there",
  EHOSTUNREACH: "no route to that machine",
  ENETUNREACH: "no route to that network from here",
  ETIMEDOUT: "no answer",
  ECONNRESET: "the other end hung up",
  EADDRNOTAVAIL: "this machine has no address of that kind",
};

function pipeFrom({ socket, peer, protocol }: SecureEnd, asks: boolean, remote: string): Pipe {
  const kind = isIPv6(plainAddress(socket.remoteAddress ?? "")) ? "tcp6" : "tcp4";
  const http = protocol === "http1" ? "http1" : "h2";
  const path = { kind, remote, local: plainAddress(socket.localAddress ?? "") } as const;
  return { duplex: socket, peer, path, asks, http, bytesRead: () => socket.bytesRead };
}

/** A dual-stack listener sees IPv4 as `::ffff:192.0.2.7`. */
function plainAddress(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

function endpointOf(server: Server): Endpoint {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a TCP server has an address and a port");
  return { host: address.address, port: address.port };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve())); // closing twice calls back as well
}
