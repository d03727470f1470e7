/**
 * The asking end of a link: an HTTP/2 client session on a pipe.
 *
 * It counts as up once a ping with a fresh nonce came back: a library's `open` proves nothing
 * (transport.md, traps 2 and 3).
 */

import { randomBytes } from "node:crypto";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { type Duplex, Readable } from "node:stream";
import { type Clock, isAbort, Scope, within } from "../base/index.ts";
import { Failure, type NodeId } from "../core/index.ts";
import { failureFrom, readText } from "./ask.ts";
import type { Pipe } from "./carrier.ts";
import { sessionOptions, widen } from "./http2-settings.ts";
import { keepAlive } from "./keep-alive.ts";
import { keepReading } from "./keep-reading.ts";
import { carriesLink } from "./link-inside.ts";
import type { Link, LinkReply, LinkRequest, Path } from "./link.ts";
import { UnreadBytes } from "./unread-bytes.ts";

/** How long the other end may take until the head of an answer. Bodies have limits of their own. */
const ANSWER_TIMEOUT_MS = 20_000;
const PING_TIMEOUT_MS = 10_000;

export class H2Link implements Link {
  readonly peer: NodeId;
  readonly path: Path;
  readonly ended: Promise<Failure | undefined>;
  readonly #session: ClientHttp2Session;
  readonly #bytesRead: () => number;
  readonly #whyEnded: () => Failure | undefined;
  readonly #duplex: Duplex;
  readonly #clock: Clock;
  readonly #unread: UnreadBytes;
  readonly #scope = new Scope();
  readonly #streamOpened: () => void;
  #holders = 0;
  #keepers = 0;
  #streams = 0;
  /** Of these, those that carry links. */
  #linksInside = 0;
  #idleSince: number;
  #why: Failure | undefined;

  /** @throws {Failure} link-lost, timed-out */
  static async open(pipe: Pipe & { readonly peer: NodeId }, clock: Clock, signal: AbortSignal): Promise<H2Link> {
    const link = new H2Link(pipe, clock);
    try {
      await link.ping(signal);
      return link;
    } catch (error) {
      link.close("it did not come up");
      throw error;
    }
  }

  private constructor(pipe: Pipe & { readonly peer: NodeId }, clock: Clock) {
    this.peer = pipe.peer;
    this.path = pipe.path;
    this.#clock = clock;
    this.#idleSince = clock.now();
    const session = connect(`https://${pipe.peer}`, { ...sessionOptions, createConnection: () => pipe.duplex });
    this.#session = session;
    this.#duplex = pipe.duplex;
    this.#bytesRead = () => pipe.bytesRead();
    this.#whyEnded = () => pipe.whyEnded?.();
    this.#unread = new UnreadBytes(session);
    widen(session);
    session.on("error", (cause) => this.#lost(cause));
    session.on("goaway", () => session.close());
    const { promise, resolve } = Promise.withResolvers<Failure | undefined>();
    this.ended = promise;
    session.once("close", () => {
      pipe.duplex.destroy();
      this.#why ??= this.#whyEnded();
      resolve(this.#why);
      void this.#scope.close();
    });
    const reading = { duplex: pipe.duplex, bytesRead: () => pipe.bytesRead(), isBusy: () => this.#streams > 0 };
    this.#streamOpened = keepReading(reading, clock, this.#scope);
    const watched = {
      ping: (answered: () => void) => void (session.destroyed || session.ping((error) => error === null && answered())),
      bytesRead: () => pipe.bytesRead(),
      isBusy: () => this.#holders + this.#streams - this.#linksInside > 0,
      dead: (why: Failure) => this.#end(why),
    };
    this.#scope.spawn((signal) => keepAlive(watched, clock, signal));
  }

  get open(): boolean {
    return !this.#session.destroyed && !this.#session.closed;
  }

  get bytesRead(): number {
    return this.#bytesRead();
  }

  async request({ method, path, body }: LinkRequest, signal: AbortSignal): Promise<LinkReply> {
    const json = body === undefined || body instanceof Readable ? undefined : JSON.stringify(body);
    const type = json === undefined ? "application/octet-stream" : "application/json";
    const headers = { ":method": method, ":path": path, ...(body === undefined ? {} : { "content-type": type }) };
    const stream = this.#open(headers, body === undefined);
    if (json !== undefined) stream.end(json);
    else if (body instanceof Readable) body.on("error", (error) => stream.destroy(error)).pipe(stream);
    const { ":status": status = 0, ...rest } = await this.#head(stream, signal);
    return { status: Number(status), headers: rest as LinkReply["headers"], body: stream };
  }

  async connect(target: string, signal: AbortSignal): Promise<Duplex> {
    const stream = this.#open({ ":method": "CONNECT", ":authority": encodeTarget(target) }, false);
    if (carriesLink(target)) {
      this.#linksInside++;
      stream.once("close", () => this.#linksInside--);
    }
    const { ":status": status = 0 } = await this.#head(stream, signal);
    if (status === constants.HTTP_STATUS_OK) return stream;
    const text = await readText(stream, 4_096, signal);
    throw failureFrom(Number(status), parseOrUndefined(text));
  }

  ping(signal: AbortSignal): Promise<number> {
    const late = () => new Failure("link-lost", `no answer to a ping within ${PING_TIMEOUT_MS / 1000} s`);
    const roundTrip = () =>
      new Promise<number>((resolve, reject) => {
        if (!this.open) {
          reject(this.#lostFailure());
          return;
        }
        const nonce = randomBytes(8);
        const sentAt = this.#clock.now();
        this.#session.ping(nonce, (error, _durationMs, payload) => {
          if (error !== null) reject(this.#lostFailure(error));
          else if (!nonce.equals(payload)) reject(new Failure("bad-reply", "a ping came back with another nonce"));
          else resolve(this.#clock.now() - sentAt);
        });
      });
    return within({ clock: this.#clock, timeoutMs: PING_TIMEOUT_MS, late }, roundTrip, signal);
  }

  hold(): Disposable {
    this.#holders++;
    return once(() => {
      this.#holders--;
      this.#idleSince = this.#clock.now();
    });
  }

  keep(): Disposable {
    this.#keepers++;
    return once(() => {
      this.#keepers--;
      this.#idleSince = this.#clock.now();
    });
  }

  get idleSince(): number | undefined {
    return this.#holders + this.#keepers + this.#streams === 0 ? this.#idleSince : undefined;
  }

  close(_reason: string): void {
    this.#end(undefined);
  }

  #open(headers: Record<string, string>, endStream: boolean): ClientHttp2Stream {
    if (!this.open) throw this.#lostFailure();
    const stream = this.#session.request(headers, { endStream });
    this.#streams++;
    this.#streamOpened();
    this.#unread.watch(stream);
    stream.on("error", () => {}); // whoever reads or writes hears of it; nobody else needs to
    stream.once("close", () => {
      this.#streams--;
      this.#idleSince = this.#clock.now();
    });
    return stream;
  }

  /** Waits for the head of the answer. */
  #head(stream: ClientHttp2Stream, signal: AbortSignal): Promise<Record<string, unknown>> {
    const late = () => new Failure("timed-out", `no answer within ${ANSWER_TIMEOUT_MS / 1000} s`);
    const head = () =>
      new Promise<Record<string, unknown>>((resolve, reject) => {
        stream.once("response", resolve);
        stream.once("error", (error) => reject(this.#lostFailure(error)));
        stream.once("close", () => reject(this.#lostFailure()));
      });
    return within({ clock: this.#clock, timeoutMs: ANSWER_TIMEOUT_MS, late }, head, signal).catch((error: unknown) => {
      stream.close(constants.NGHTTP2_CANCEL);
      throw isAbort(error, signal) ? signal.reason : error;
    });
  }

  #lost(cause: Error): void {
    this.#why ??= this.#lostFailure(cause);
  }

  #end(why: Failure | undefined): void {
    this.#why ??= why;
    // The pipe, not the session: a session that says good-bye on a duplex of ours trips over its own last write.
    this.#duplex.destroy();
  }

  #lostFailure(cause?: Error): Failure {
    const why = this.#why ?? this.#whyEnded();
    if (why !== undefined) return why;
    return new Failure("link-lost", "the link to the other node was lost", {
      hint: "try again; `p2prc why NODE` shows the attempts",
      cause,
    });
  }
}

/** HTTP/2 wants an authority; `/` and others may not stand in one. */
export function encodeTarget(target: string): string {
  const [kind = "", ...rest] = target.split(":");
  return `${kind}:${encodeURIComponent(rest.join(":"))}`;
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not ours: failureFrom says what the status was
  }
}

/** A handle that lets go once, however often it is disposed of. */
function once(release: () => void): Disposable {
  let held = true;
  return {
    [Symbol.dispose]: () => {
      if (held) release();
      held = false;
    },
  };
}
