/**
 * A place on this machine behind which there is a port of a sandbox: a TCP port on 127.0.0.1, or a Unix socket for whom
 * loopback is too public (any user of the machine may connect to a loopback port; a socket in a private folder is one's own).
 *
 * Each connection gets a byte stream of its own, asked for when it comes: a link that was lost is made again by the next one.
 */

import { once } from "node:events";
import { chmod } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Log, Scope, splice } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";

export interface DoorDeps {
  /** What is behind it. @throws {Failure} why it cannot be had now */
  readonly connect: (signal: AbortSignal) => Promise<Duplex>;
  readonly log: Log;
}

/** Where: a port, of which 0 is any free one; or the path of a socket that is not there yet. */
export type DoorPlace =
  | { readonly kind: "tcp"; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/** Browsers open 6 for each page, test tools hundreds; a loop must not open them without end. */
const MAX_CONNECTIONS = 512;

export class Door implements AsyncDisposable {
  readonly #server: Server;
  readonly #scope = new Scope();
  readonly #deps: DoorDeps;

  /** @throws {Failure} port-in-use, bad-argument */
  static async open(place: DoorPlace, deps: DoorDeps, signal: AbortSignal): Promise<Door> {
    signal.throwIfAborted();
    const door = new Door(deps);
    try {
      if (place.kind === "tcp") door.#server.listen({ port: place.port, host: "127.0.0.1", exclusive: true });
      else door.#server.listen(place.path);
      await once(door.#server, "listening", { signal });
      if (place.kind === "unix") await chmod(place.path, 0o600);
      door.#server.on("error", (error) => deps.log.warn("a local port has a fault", { reason: error.message }));
      return door;
    } catch (cause) {
      await door[Symbol.asyncDispose]();
      signal.throwIfAborted();
      throw cannotOpen(place, cause);
    }
  }

  private constructor(deps: DoorDeps) {
    this.#deps = deps;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => {}); // splice hears of it too
      this.#scope.spawn((signal) => this.#serve(socket, signal));
    });
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  /** Undefined behind a Unix socket. */
  get port(): number | undefined {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : undefined;
  }

  /** Connections that are open end. */
  async [Symbol.asyncDispose](): Promise<void> {
    const closed = this.#server.listening ? once(this.#server, "close") : undefined;
    this.#server.close();
    await this.#scope.close();
    await closed;
  }

  async #serve(near: Socket, signal: AbortSignal): Promise<void> {
    const end = () => void near.destroy();
    signal.addEventListener("abort", end, { once: true });
    try {
      using leaving = new Leaving(near, signal);
      const far = await this.#deps.connect(leaving.signal);
      leaving.release();
      const endFar = () => void far.destroy();
      signal.addEventListener("abort", endFar, { once: true });
      await splice(near, far);
      signal.removeEventListener("abort", endFar);
    } catch (error) {
      near.resetAndDestroy(); // the client sees that nothing answers there
      if (error instanceof Failure) this.#deps.log.debug("a local port has nothing behind it", { why: error.message });
      else if (!signal.aborted && !near.destroyed) throw error;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }
}

/** Aborts what is asked for a client that breaks off before it has it. One that only ends may still listen. */
class Leaving implements Disposable {
  readonly #controller = new AbortController();
  readonly #socket: Socket;
  readonly #leave = () => this.#controller.abort();
  readonly signal: AbortSignal;

  constructor(socket: Socket, ending: AbortSignal) {
    this.#socket = socket;
    socket.once("close", this.#leave);
    socket.read(0); // a socket that nobody reads does not notice that it broke
    this.signal = AbortSignal.any([this.#controller.signal, ending]);
  }

  release(): void {
    this.#socket.off("close", this.#leave);
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

function cannotOpen(place: DoorPlace, cause: unknown): unknown {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : undefined;
  if (code === "EADDRINUSE" && place.kind === "tcp") {
    return new Failure("port-in-use", `port ${place.port} of 127.0.0.1 is taken`, {
      hint: "choose another with `--local`, or leave it out for any free one",
      cause,
    });
  }
  if (code === "EADDRINUSE" || code === "EACCES" || code === "ENOENT" || code === "EINVAL" || code === "ENOTDIR") {
    const what = place.kind === "tcp" ? `port ${place.port} of 127.0.0.1` : `a socket at "${place.path}"`;
    return new Failure("bad-argument", `cannot listen on ${what}: ${code}`, {
      hint: place.kind === "unix" ? "the folder must be there and the socket must not" : "ports below 1024 need root",
      cause,
    });
  }
  return cause;
}
