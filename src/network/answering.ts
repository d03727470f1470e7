/**
 * The answering end of every link: one HTTP/2 server without a listener.
 *
 * Carriers hand it pipes; requests go to the one handler (Fastify's), `CONNECT` streams to the other.
 * Both learn who asks from here, and from nowhere else. Clients that speak HTTP/1.1 get the same
 * handler, anonymous ones do not stay long.
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import {
  createServer,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import { type Clock, nodeHttp, Scope } from "../base/index.ts";
import { type Caller, type Failure, failures, type NodeId } from "../core/index.ts";
import type { Pipe } from "./carrier.ts";
import { sessionOptions, widen } from "./http2-settings.ts";
import { keepAlive } from "./keep-alive.ts";
import { keepReading } from "./keep-reading.ts";
import { endLateBody } from "./late-body.ts";
import type { Path } from "./link.ts";
import { carriesLink } from "./link-inside.ts";
import type { Proof } from "./prove-links.ts";
import { UnreadBytes } from "./unread-bytes.ts";

/** A client without a key reads one page and goes. */
const ANONYMOUS_MS = 30_000;
/** Clients that speak HTTP/1.1, all of them without a key. */
const MAX_HTTP1 = 64;
/** The first settings frame of an honest client comes with its handshake. */
const PREFACE_MS = 10_000;

export type RawRequest = IncomingMessage | Http2ServerRequest;
export type RawResponse = ServerResponse | Http2ServerResponse;
export type Requests = (request: RawRequest, response: RawResponse) => void;

export interface Tunnel {
  readonly target: string;
  readonly caller: Caller;
  /** Aborts when the asker leaves. */
  readonly gone: AbortSignal;
  /** Answers 200 and opens the stream. */
  accept(): Duplex;
  /** Answers the failure and closes. */
  refuse(failure: Failure): void;
}

interface Inbound {
  readonly session: ServerHttp2Session;
  readonly duplex: Duplex;
  readonly caller: Caller;
  readonly path: Path;
  /** Told of each silence. Undefined: it is not watched. */
  readonly watch: ((isSilent: boolean) => void) | undefined;
  readonly bytesRead: () => number;
  streams: number;
  /** Of these, those that carry links. */
  linksInside: number;
  idleSince: number;
}

export interface AnsweringOptions {
  /** Own nodes, friends and guests: their links are never closed to make room. */
  readonly isKnown: (id: NodeId) => boolean;
  /** Links of others. With those that are not counted here it stays below the carrier's cap: the rest is for known keys. @default 256 */
  readonly maxStrangers?: number;
}

export class Answering implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #options: Required<AnsweringOptions>;
  readonly #scope = new Scope();
  readonly #h2: Http2Server;
  readonly #h1;
  readonly #inbound = new Map<ServerHttp2Session, Inbound>();
  /** Oldest first. */
  readonly #http1Pipes = new Set<Duplex>();
  readonly #callers = new WeakMap<object, Caller>();
  #arriving: { readonly pipe: Pipe; readonly watch: Inbound["watch"] } | undefined;

  constructor(clock: Clock, { isKnown, maxStrangers = 256 }: AnsweringOptions) {
    this.#clock = clock;
    this.#options = { isKnown, maxStrangers };
    this.#h2 = createServer(sessionOptions);
    this.#h2.on("session", (session) => this.#onSession(session));
    this.#h2.on("sessionError", () => {}); // the session closes, and that is what counts
    this.#h1 = nodeHttp.createServer({ maxHeaderSize: 8 * 1024, keepAliveTimeout: 5_000 });
    this.#scope.defer(() => {
      for (const { duplex } of this.#inbound.values()) duplex.destroy();
    });
  }

  /** Where Fastify, and whoever opens tunnels, attach. Once. */
  attach(requests: Requests, tunnels: (tunnel: Tunnel) => void): void {
    this.#h2.on("request", requests);
    this.#h1.on("request", requests);
    this.#h2.on("connect", (request: Http2ServerRequest) => tunnels(this.#tunnel(request)));
  }

  /**
   * Answers on `pipe` until it closes.
   * @param watch given: its death is noticed within 15 s, as of one that carries a stream, and told is who has not answered for half of that
   */
  take(pipe: Pipe, watch?: (isSilent: boolean) => void): void {
    if (pipe.http === "http1") this.#takeHttp1(pipe);
    else {
      this.#arriving = { pipe, watch }; // "session" is emitted before emit() returns
      this.#h2.emit("connection", pipe.duplex);
      this.#arriving = undefined;
    }
  }

  /** @throws when the request did not come through here */
  callerOf(request: RawRequest): Caller {
    const key = "stream" in request ? request.stream.session : request.socket;
    const caller = key === undefined ? undefined : this.#callers.get(key);
    if (caller === undefined) throw new Error("a request came from nowhere");
    return caller;
  }

  /** Ends every link on which `id` asks. */
  hangUp(id: NodeId): void {
    for (const { duplex, caller } of this.#inbound.values()) {
      if (caller.kind === "node" && caller.id === id) duplex.destroy();
    }
  }

  /** Ends those that are watched and silent for so long: after the machine moved, they may lead nowhere. */
  async prove(proofOf: (path: Path) => Proof, signal: AbortSignal): Promise<void> {
    const watched = [...this.#inbound.values()].filter(({ watch, path }) => watch !== undefined && proofOf(path).ends);
    await Promise.all(watched.map((inbound) => this.#proveOne(inbound, proofOf(inbound.path).timeoutMs, signal)));
  }

  async #proveOne({ session, duplex, bytesRead }: Inbound, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const before = bytesRead();
    await using wait = new Scope(signal);
    const answered = new Promise<boolean>((resolve) => {
      if (session.destroyed || !session.ping((error) => resolve(error === null))) resolve(false);
    });
    const isAlive = await Promise.race([answered, this.#clock.sleep(timeoutMs, wait.signal).then(() => false)]);
    if (!isAlive && bytesRead() === before) duplex.destroy();
  }

  /** Who asks here now, one row per link. */
  get callers(): readonly { readonly caller: Caller; readonly path: Path }[] {
    return [...this.#inbound.values()];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#scope.close();
  }

  #takeHttp1({ duplex, path }: Pipe): void {
    this.#callers.set(duplex, { kind: "anonymous", remote: path.remote });
    if (this.#http1Pipes.size >= MAX_HTTP1) [...this.#http1Pipes].find((pipe) => !pipe.destroyed)?.destroy();
    this.#http1Pipes.add(duplex);
    duplex.once("close", () => this.#http1Pipes.delete(duplex));
    this.#endLater(duplex, ANONYMOUS_MS);
    this.#h1.emit("connection", duplex);
  }

  #onSession(session: ServerHttp2Session): void {
    if (this.#arriving === undefined || this.#scope.signal.aborted) {
      session.destroy();
      return;
    }
    const { pipe, watch } = this.#arriving;
    widen(session);
    const remote = pipe.path.remote;
    const caller: Caller =
      pipe.peer === undefined ? { kind: "anonymous", remote } : { kind: "node", id: pipe.peer, remote };
    this.#callers.set(session, caller);
    this.#makeRoom();
    const { duplex, path } = pipe;
    const inbound = {
      session,
      duplex,
      caller,
      path,
      watch,
      bytesRead: () => pipe.bytesRead(),
      streams: 0,
      linksInside: 0,
      idleSince: this.#clock.now(),
    };
    this.#inbound.set(session, inbound);
    const life = new Scope(this.#scope.signal);
    session.once("close", () => {
      this.#inbound.delete(session);
      pipe.duplex.destroy();
      void life.close();
    });
    this.#watch(inbound, pipe, life);
    if (caller.kind === "anonymous") this.#endLater(pipe.duplex, ANONYMOUS_MS);
  }

  /** Closes the stranger's link that has been idle longest, or else the oldest, where there are too many. */
  #makeRoom(): void {
    const strangers = [...this.#inbound.values()].filter(
      ({ caller, duplex }) => !duplex.destroyed && (caller.kind !== "node" || !this.#options.isKnown(caller.id)),
    );
    if (strangers.length < this.#options.maxStrangers) return;
    const [idle] = strangers.filter(({ streams }) => streams === 0).sort((a, b) => a.idleSince - b.idleSince);
    (idle ?? strangers[0])?.duplex.destroy();
  }

  #watch(inbound: Inbound, pipe: Pipe, life: Scope): void {
    const { session } = inbound;
    const unread = new UnreadBytes(session);
    const reading = { duplex: pipe.duplex, bytesRead: () => pipe.bytesRead(), isBusy: () => inbound.streams > 0 };
    const streamOpened = keepReading(reading, this.#clock, life);
    session.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
      const { ":method": method, ":authority": target } = headers;
      const inside = Number(method === "CONNECT" && carriesLink(target));
      inbound.streams++;
      inbound.linksInside += inside;
      streamOpened();
      unread.watch(stream);
      if (method !== "CONNECT" && !stream.endAfterHeaders) endLateBody(stream, this.#clock, life.signal);
      stream.on("error", () => {}); // whoever reads or writes hears of it
      stream.once("close", () => {
        inbound.streams--;
        inbound.linksInside -= inside;
        inbound.idleSince = this.#clock.now();
      });
    });
    life.spawn(async (signal) => {
      const started = await this.#hasStarted(session, signal);
      if (!started) pipe.duplex.destroy();
    });
    const watched = {
      ping: (answered: () => void) => void (session.destroyed || session.ping((error) => error === null && answered())),
      bytesRead: () => pipe.bytesRead(),
      isBusy: () => inbound.streams > inbound.linksInside,
      answers: {
        isWatched: () => inbound.watch !== undefined,
        silence: (isSilent: boolean) => inbound.watch?.(isSilent),
      },
      dead: () => void pipe.duplex.destroy(),
    };
    life.spawn((signal) => keepAlive(watched, this.#clock, signal));
  }

  async #hasStarted(session: ServerHttp2Session, signal: AbortSignal): Promise<boolean> {
    const settled = new Promise<boolean>((resolve) => session.once("remoteSettings", () => resolve(true)));
    await using wait = new Scope(signal);
    return await Promise.race([settled, this.#clock.sleep(PREFACE_MS, wait.signal).then(() => false)]);
  }

  #endLater(thing: { destroy(): void; once(event: "close", listener: () => void): unknown }, ms: number): void {
    const wait = new Scope(this.#scope.signal);
    thing.once("close", () => void wait.close());
    wait.spawn(async (signal) => {
      await this.#clock.sleep(ms, signal);
      thing.destroy();
    });
  }

  #tunnel(request: Http2ServerRequest): Tunnel {
    const stream = request.stream;
    const gone = new AbortController();
    stream.once("close", () => gone.abort());
    return {
      target: decodeTarget(request.authority),
      caller: this.callerOf(request),
      gone: gone.signal,
      accept: () => {
        stream.respond({ ":status": 200 });
        return stream;
      },
      refuse: ({ code, message, hint }) => {
        if (stream.destroyed) return;
        stream.respond({ ":status": failures[code].status, "content-type": "application/json" });
        stream.end(JSON.stringify({ error: { code, message, hint } }));
      },
    };
  }
}

/** What a `CONNECT` asks for, as it was meant. */
export function decodeTarget(authority: string): string {
  try {
    return decodeURIComponent(authority);
  } catch {
    return authority; // malformed: no kind of target has such a name
  }
}
