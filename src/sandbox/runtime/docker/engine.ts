/**
 * The Docker Engine API on a Unix socket: asking, streams, and connections that turn into a byte stream.
 *
 * `dockerode` carries it (imported only here and only when an engine is opened: it brings gRPC along). Whatever it refuses
 * is an EngineError with its status; that nothing answers any more is a Failure.
 */

import type { IncomingMessage } from "node:http";
import type { Duplex, Readable } from "node:stream";
import type Dockerode from "dockerode";
import { isAbort } from "../../../base/index.ts";
import { cleanText, Failure } from "../../../core/index.ts";

export interface EngineCall {
  readonly method: "GET" | "POST" | "PUT" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean>>;
  readonly body?: object;
}

/** The engine understood, and said no. */
export class EngineError extends Error {
  static {
    EngineError.prototype.name = "EngineError";
  }

  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

interface DialRequest {
  readonly path: string;
  readonly method: string;
  readonly options?: object;
  readonly file?: NodeJS.ReadableStream | Buffer;
  readonly hijack?: boolean;
  readonly openStdin?: boolean;
  readonly isStream?: boolean;
  readonly statusCodes: Readonly<Record<number, true>>;
  readonly abortSignal: AbortSignal;
}
type Dial = (request: DialRequest, done: (error: Error | null, result: unknown) => void) => void;

/** 304: it is so already. 101 and 200 both say that a connection has become a stream. */
const GOOD = { 101: true, 200: true, 201: true, 204: true, 304: true } as const;
const MAX_MESSAGE_LETTERS = 500;

export class Engine {
  readonly socketPath: string;
  readonly #modem: { dial: Dial };

  static async open(socketPath: string): Promise<Engine> {
    const { default: Docker } = await import("dockerode");
    return new Engine(new Docker({ socketPath, protocol: "http", host: undefined }), socketPath);
  }

  private constructor(docker: Dockerode, socketPath: string) {
    this.#modem = docker.modem as { dial: Dial };
    this.socketPath = socketPath;
  }

  /** The answer as JSON. @throws {EngineError} @throws {Failure} runtime-failed */
  async ask<T = unknown>(call: EngineCall, signal: AbortSignal): Promise<T> {
    return (await this.#dial(call, {}, signal)) as T;
  }

  /** The answer as it comes, with `upload` as what is sent. @throws {EngineError} @throws {Failure} runtime-failed */
  async stream(call: EngineCall, signal: AbortSignal, upload?: Readable): Promise<Readable> {
    const sent = upload === undefined ? {} : { file: upload };
    return (await this.#dial(call, { isStream: true, ...sent }, signal)) as IncomingMessage;
  }

  /** The connection itself, once the engine has let go of HTTP on it. @throws {EngineError} @throws {Failure} runtime-failed */
  async hijack(call: EngineCall, signal: AbortSignal): Promise<Duplex> {
    // Without one, dockerode never sends the head; and what is in one, Podman hands to the process.
    const sent = call.body === undefined ? { file: Buffer.alloc(0) } : {};
    return (await this.#dial(call, { isStream: true, hijack: true, openStdin: true, ...sent }, signal)) as Duplex;
  }

  async #dial({ method, path, query = {}, body = {} }: EngineCall, how: Partial<DialRequest>, signal: AbortSignal) {
    signal.throwIfAborted();
    // A signal of our own: a stream that is handed out outlives the call that opened it.
    const gone = new AbortController();
    const onAbort = () => gone.abort(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    const request = { method, path: `${path}?`, options: { _query: query, _body: body }, statusCodes: GOOD, ...how };
    try {
      return await new Promise<unknown>((resolve, reject) => {
        this.#modem.dial({ ...request, abortSignal: gone.signal }, (error, result) =>
          error === null ? resolve(result) : reject(error),
        );
      });
    } catch (error) {
      throw isAbort(error, signal) || signal.aborted ? (signal.reason as Error) : this.#explain(error as Error);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  #explain(error: Error & { readonly statusCode?: number; readonly json?: unknown }): Error {
    if (error.statusCode !== undefined) {
      const { message } = (error.json ?? {}) as { readonly message?: unknown };
      const words = typeof message === "string" ? message : error.message;
      return new EngineError(error.statusCode, cleanText(words, MAX_MESSAGE_LETTERS));
    }
    return new Failure("runtime-failed", `the container engine at ${this.socketPath} does not answer`, {
      cause: error,
      hint: "see whether it runs: `docker info`, or `systemctl status docker`",
    });
  }
}

/** What `work` resolves to, or `instead` where the engine answers with `status`. */
export async function unless<T, U>(status: number, instead: U, work: Promise<T>): Promise<T | U> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof EngineError && error.status === status) return instead;
    throw error;
  }
}

/** An engine's refusal as a person meets it. */
export function engineFailure(error: unknown, doing: string): unknown {
  if (!(error instanceof EngineError)) return error;
  if (/no space left on device|disk quota exceeded/iu.test(error.message)) {
    return new Failure("disk-full", `no room left to ${doing}`, {
      cause: error,
      hint: "free some: `docker system df`",
    });
  }
  const hint = /container-init binary not found/u.test(error.message) ? "install `catatonit`" : undefined;
  return new Failure("runtime-failed", `the engine could not ${doing}: ${error.message}`, { cause: error, hint });
}
