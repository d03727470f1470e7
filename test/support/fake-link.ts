/**
 * A Link for tests of what is done over links, without a network below.
 *
 * `FakeLink` answers each request with a function and each ping after a round trip on the test's own clock.
 * `answersOf(app)` is such a function that asks a real Fastify application over HTTP/2 in memory, so that bodies
 * are streams with the windows and the resets that they have on a real link.
 */

import { type ClientHttp2Session, connect, createServer, type Http2Server } from "node:http2";
import { duplexPair, Readable } from "node:stream";
import Fastify, { type FastifyInstance } from "fastify";
import { type Clock, isAbort } from "../../src/base/index.ts";
import {
  type Caller,
  Failure,
  failureReply,
  failures,
  nodeIdFromPublicKey,
  type NodeId,
  type Role,
} from "../../src/core/index.ts";
import type { Dialable, Link, LinkReply, LinkRequest, Path, Reach } from "../../src/network/index.ts";

export type Answer = (request: LinkRequest, signal: AbortSignal) => LinkReply | Promise<LinkReply>;

export interface FakeLinkOptions {
  readonly clock: Clock;
  /** @default fakeId(1) */
  readonly peer?: NodeId;
  /** One number for all round trips, or the next one each time; `undefined` never comes back. @default 20 */
  readonly rttMs?: number | (() => number | undefined);
  readonly answer?: Answer;
}

/** A node id that is the same for the same number. */
export function fakeId(number: number): NodeId {
  return nodeIdFromPublicKey(new Uint8Array(32).fill(number));
}

export class FakeLink implements Link {
  readonly peer: NodeId;
  readonly path: Path = { kind: "memory", remote: "memory" };
  readonly ended: Promise<Failure | undefined>;
  readonly requests: LinkRequest[] = [];
  pings = 0;
  holders = 0;
  open = true;
  bytesRead = 0;
  readonly #options: FakeLinkOptions;
  readonly #end: (why: Failure | undefined) => void;

  constructor(options: FakeLinkOptions) {
    this.peer = options.peer ?? fakeId(1);
    this.#options = options;
    const { promise, resolve } = Promise.withResolvers<Failure | undefined>();
    this.ended = promise;
    this.#end = resolve;
  }

  async request(request: LinkRequest, signal: AbortSignal): Promise<LinkReply> {
    if (!this.open) throw lost();
    this.requests.push(request);
    const { answer = () => replyOf(404, { error: { code: "not-found", message: "no such thing" } }) } = this.#options;
    return await answer(request, signal);
  }

  connect(): Promise<never> {
    return Promise.reject(new Failure("not-supported", "a fake link has no tunnels"));
  }

  async ping(signal: AbortSignal): Promise<number> {
    if (!this.open) throw lost();
    this.pings++;
    const { clock, rttMs = 20 } = this.#options;
    const ms = typeof rttMs === "number" ? rttMs : rttMs();
    await clock.sleep(ms ?? Number.POSITIVE_INFINITY, signal);
    if (!this.open) throw lost();
    return ms ?? 0;
  }

  get idleSince(): number | undefined {
    return this.holders > 0 ? undefined : 0;
  }

  keep(): Disposable {
    return this.hold();
  }

  hold(): Disposable {
    this.holders++;
    return { [Symbol.dispose]: () => void this.holders-- };
  }

  close(): void {
    this.break(undefined);
  }

  /** As when the other end is gone. */
  break(why: Failure | undefined = lost()): void {
    this.open = false;
    this.#end(why);
  }
}

/** A Reach over links that the test made. */
export function fakeReach(links: () => Iterable<FakeLink>): Reach & { readonly dialled: NodeId[] } {
  const dialled: NodeId[] = [];
  const existing = (id: NodeId) => [...links()].find((link) => link.peer === id && link.open);
  return {
    dialled,
    existing,
    link: async (target: Dialable) => {
      dialled.push(target.id);
      const link = existing(target.id);
      if (link === undefined) throw new Failure("unreachable", "no address of it answers");
      return link;
    },
  };
}

export function replyOf(status: number, body: unknown): LinkReply {
  return {
    status,
    headers: {},
    body: body instanceof Readable ? body : Readable.from([Buffer.from(JSON.stringify(body))]),
  };
}

/** A Fastify application as the daemon makes it, for one caller, reached over HTTP/2 in memory. */
export class MemoryApp implements AsyncDisposable {
  readonly app: FastifyInstance;
  caller: Caller;
  role: Role;
  readonly #server: Http2Server;
  readonly #session: ClientHttp2Session;

  static async open(caller: Caller, role: Role, routes: (app: FastifyInstance) => Promise<void>): Promise<MemoryApp> {
    let handler: Parameters<typeof createServer>[1];
    const app = Fastify({
      http2: true,
      forceCloseConnections: true,
      serverFactory: (handle) => {
        handler = handle as unknown as typeof handler;
        return createServer(handler);
      },
    });
    const memory = new MemoryApp(app as unknown as FastifyInstance, caller, role);
    await routes(memory.app);
    await memory.app.ready();
    return memory;
  }

  private constructor(app: FastifyInstance, caller: Caller, role: Role) {
    this.app = app;
    this.caller = caller;
    this.role = role;
    app.decorateRequest("caller");
    app.decorateRequest("role");
    app.addHook("onRequest", async (request) => {
      request.caller = this.caller;
      request.role = this.role;
    });
    app.setErrorHandler((error, _request, reply) => {
      const status =
        error instanceof Failure ? failures[error.code].status : ((error as { statusCode?: number }).statusCode ?? 500);
      return reply.status(status).send(failureReply(error));
    });
    this.#server = app.server as unknown as Http2Server;
    const [near, far] = duplexPair();
    this.#session = connect("http://memory", {
      createConnection: () => near,
      settings: { initialWindowSize: 1_048_576 },
    });
    this.#server.emit("connection", far);
  }

  readonly answer: Answer = async ({ method, path, body }, signal) => {
    const json = body === undefined || body instanceof Readable ? undefined : JSON.stringify(body);
    const type = json === undefined ? "application/octet-stream" : "application/json";
    const stream = this.#session.request(
      { ":method": method, ":path": path, ...(body === undefined ? {} : { "content-type": type }) },
      { endStream: body === undefined },
    );
    stream.on("error", () => undefined);
    if (body instanceof Readable) body.on("error", () => stream.destroy()).pipe(stream);
    else if (json !== undefined) stream.end(json);
    const onAbort = () => stream.destroy();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await new Promise<LinkReply>((resolve, reject) => {
        stream.once("response", (headers) =>
          resolve({ status: Number(headers[":status"]), headers: {}, body: stream }),
        );
        stream.once("error", (cause: Error) => reject(isAbort(cause, signal) ? cause : lost()));
        stream.once("close", () => reject(signal.aborted ? (signal.reason as Error) : lost()));
      });
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  };

  async [Symbol.asyncDispose](): Promise<void> {
    this.#session.destroy();
    await this.app.close();
  }
}

function lost(): Failure {
  return new Failure("link-lost", "the link to the other node was lost");
}
