/** A TCP port of this node in public, behind which there is a port of a sandbox: each connection gets a stream of its own. */

import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Log, Scope } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";

export interface PublicPortDeps {
  /** What is behind it, to be joined to a connection. @throws {Failure} why it cannot be had now */
  readonly connect: (signal: AbortSignal) => Promise<(stream: Duplex) => void>;
  readonly log: Log;
}

export interface PublicPlace {
  /** Addresses of this machine. */
  readonly hosts: readonly string[];
  /** The same on each of them; 0: any free one. */
  readonly port: number;
}

/** Of one port, from all sides. A sandbox takes 250 streams of all kinds; its guest must still get in. */
const MAX_CONNECTIONS = 128;
/** A peer that vanished must not hold a place for ever. */
const KEEP_ALIVE_MS = 60_000;

export class PublicPort implements AsyncDisposable {
  readonly #deps: PublicPortDeps;
  readonly #scope = new Scope();
  readonly #servers: Server[] = [];
  #connections = 0;

  /** @throws {Failure} port-in-use, bad-address */
  static async open({ hosts, port }: PublicPlace, deps: PublicPortDeps, signal: AbortSignal): Promise<PublicPort> {
    const opened = new PublicPort(deps);
    try {
      for (const host of hosts)
        await opened.#listen({ host, port: opened.port || port, ipv6Only: hosts.includes("0.0.0.0") }, signal);
      return opened;
    } catch (error) {
      await opened[Symbol.asyncDispose]();
      signal.throwIfAborted();
      throw explained(error, port);
    }
  }

  private constructor(deps: PublicPortDeps) {
    this.#deps = deps;
  }

  /** 0 before it listens. */
  get port(): number {
    const address = this.#servers[0]?.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** Connections that are open end. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#servers.map(
      (server) => new Promise<void>((resolve) => void server.close(() => resolve())), // also where it never listened
    );
    await this.#scope.close();
    await Promise.all(closed);
  }

  async #listen(
    options: { readonly host: string; readonly port: number; readonly ipv6Only: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    const server = createServer({
      allowHalfOpen: true,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
    });
    server.on("connection", (socket) => this.#take(socket));
    this.#servers.push(server);
    server.listen({ ...options, exclusive: true });
    await once(server, "listening", { signal });
    server.on("error", (error) => this.#deps.log.warn("a published port has a fault", { reason: error.message }));
  }

  #take(socket: Socket): void {
    socket.on("error", () => {}); // whoever is joined to it hears of it
    if (this.#connections >= MAX_CONNECTIONS || this.#scope.signal.aborted) {
      socket.resetAndDestroy();
      return;
    }
    this.#connections++;
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    this.#scope.spawn(async (signal) => {
      const end = () => void socket.destroy();
      signal.addEventListener("abort", end, { once: true });
      try {
        await this.#join(socket, signal);
        await closed;
      } finally {
        signal.removeEventListener("abort", end);
        this.#connections--;
      }
    });
  }

  async #join(socket: Socket, signal: AbortSignal): Promise<void> {
    const left = new AbortController();
    const leave = () => left.abort();
    socket.once("close", leave);
    socket.read(0); // a socket that nobody reads does not notice that it broke
    try {
      const carry = await this.#deps.connect(AbortSignal.any([signal, left.signal]));
      carry(socket);
    } catch (error) {
      socket.resetAndDestroy(); // who came sees that nothing answers there
      if (error instanceof Failure) this.#deps.log.debug("nothing is behind a published port", { why: error.message });
      else if (!signal.aborted && !left.signal.aborted) throw error;
    } finally {
      socket.off("close", leave);
    }
  }
}

function explained(error: unknown, port: number): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : undefined;
  if (code === "EADDRINUSE" || code === "EACCES")
    return new Failure("port-in-use", `port ${port} of that node is taken`, {
      hint: "choose another, or leave it out for any free one",
      cause: error,
    });
  if (code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT" || code === "EINVAL")
    return new Failure("bad-address", "that node cannot listen at its own address", { cause: error });
  return error;
}
