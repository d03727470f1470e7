/**
 * The outer end of the stream to a resident: what can be asked of the process of ours inside one sandbox.
 *
 * Any number of things at once, each a stream of its own. When the stream below ends, all of them fail with `link-lost`.
 */

import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
} from "node:http2";
import type { Duplex } from "node:stream";
import { type Static, Type, type TSchema } from "typebox";
import { Value } from "typebox/value";
import { type Clock, isAbort, within } from "../../base/index.ts";
import { cleanText, Failure, isFailureCode } from "../../core/index.ts";
import { readText } from "../../network/index.ts";
import { encodeFrame } from "../resident/frames.ts";
import { keepReading, sessionOptions, widen } from "../resident/http2-session.ts";
import {
  ERROR_HEADER,
  type ExecStart,
  type Probe,
  type ResidentKind,
  type SshReady,
  type SshSetup,
} from "../resident/protocol.ts";
import { HOST_KEY_PATTERN, USER_PATTERN } from "../words.ts";

/** The resident answers within milliseconds; a sandbox that starves is given this long. */
const ANSWER_TIMEOUT_MS = 20_000;

const MAX_REPLY_BYTES = 64 * 1024;
const SshReply = Type.Object({
  hostKey: Type.String({ pattern: HOST_KEY_PATTERN }),
  user: Type.String({ pattern: USER_PATTERN }),
});
const ProbeReply = Type.Object({
  uid: Type.Integer(),
  capEff: Type.String(),
  capBnd: Type.String(),
  seccomp: Type.String(),
  noNewPrivs: Type.String(),
  uidMap: Type.String(),
  dials: Type.Record(
    Type.String(),
    Type.Union(["connected", "refused", "unreachable", "silent"].map((end) => Type.Literal(end))),
  ),
});

export interface InsideDeps {
  readonly clock: Clock;
}

export class Inside implements AsyncDisposable {
  /** Resolves, never rejects, when the stream below has ended. */
  readonly ended: Promise<void>;
  readonly #session: ClientHttp2Session;
  readonly #duplex: Duplex;
  readonly #clock: Clock;
  readonly #opened: (stream: Duplex) => void;
  readonly #streams = new Set<ClientHttp2Stream>();

  /**
   * Resolves once the resident has answered.
   * @param duplex belongs to the Inside from now on, also where opening fails
   * @throws {Failure} link-lost, timed-out
   */
  static async open(duplex: Duplex, { clock }: InsideDeps, signal: AbortSignal): Promise<Inside> {
    const inside = new Inside(duplex, clock);
    try {
      await inside.#ping(signal);
      return inside;
    } catch (error) {
      duplex.destroy();
      throw error;
    }
  }

  private constructor(duplex: Duplex, clock: Clock) {
    this.#duplex = duplex;
    this.#clock = clock;
    const session = connect("http://resident", { ...sessionOptions, createConnection: () => duplex });
    this.#session = session;
    duplex.on("error", () => {}); // the session closes, and that is what counts
    session.on("error", () => duplex.destroy());
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ended = promise;
    session.once("close", () => {
      duplex.destroy();
      resolve();
    });
    // Before the session learns of it, which would end its streams without a word.
    duplex.prependOnceListener("close", () => {
      for (const stream of this.#streams) stream.destroy(lost());
    });
    widen(session);
    this.#opened = keepReading(session, duplex, clock);
  }

  get open(): boolean {
    return !this.#session.destroyed && !this.#session.closed && !this.#duplex.destroyed;
  }

  /**
   * One stream of any kind, for whoever passes it on unread (`splice`).
   * @param rest what stands after the colon, as in `127.0.0.1/8080`; not yet encoded
   * @throws {Failure} what the resident answered, link-lost, timed-out
   */
  async connect(kind: ResidentKind, rest: string, signal: AbortSignal): Promise<Duplex> {
    const stream = this.#request({ ":method": "CONNECT", ":authority": `${kind}:${encodeURIComponent(rest)}` }, false);
    const headers = await this.#head(stream, signal);
    if (headers[":status"] === constants.HTTP_STATUS_OK) return stream;
    stream.resume();
    throw failureFrom(headers);
  }

  /** The frames of one exec, whose `start` is said already. */
  async exec(start: ExecStart, signal: AbortSignal): Promise<Duplex> {
    const stream = await this.connect("exec", "", signal);
    stream.write(encodeFrame("start", JSON.stringify(start)));
    return stream;
  }

  /** A TCP port on the sandbox's loopback. @throws {Failure} unreachable: nothing listens there */
  dial(port: number, signal: AbortSignal): Promise<Duplex> {
    return this.connect("port", `127.0.0.1/${port}`, signal);
  }

  /**
   * Files, as `resident/files.ts` says: a tar stream, or with a query part of one file, or facts about it.
   * @param query as in `offset=0&size=10`; absent: a tar stream
   */
  files(
    way: "put" | "get",
    { path, query }: { readonly path: string; readonly query?: string },
    signal: AbortSignal,
  ): Promise<Duplex> {
    return this.connect(way, `${encodeURIComponent(path)}${query === undefined ? "" : `?${query}`}`, signal);
  }

  /** One SSH connection. @throws {Failure} not-supported */
  ssh(signal: AbortSignal): Promise<Duplex> {
    return this.connect("ssh", "", signal);
  }

  /** Before the first `ssh`, and again after a change. @throws {Failure} not-supported */
  async setUpSsh(setup: SshSetup, signal: AbortSignal): Promise<SshReady> {
    return this.#ask({ ":method": "PUT", ":path": "/ssh" }, { schema: SshReply, body: setup }, signal);
  }

  /** Starts what runs beside the resident for as long as the sandbox lives. Once only. @throws {Failure} conflict */
  async startCommand(argv: readonly string[], signal: AbortSignal): Promise<void> {
    const request = { ":method": "PUT", ":path": "/command" };
    await this.#ask(request, { schema: Type.Object({}), body: { argv } }, signal);
  }

  /** What the sandbox looks like from inside. @param dials `host:port` to try to reach from there; hosts literal */
  probe(dials: readonly string[], signal: AbortSignal): Promise<Probe> {
    const query = dials.map((address) => `dial=${encodeURIComponent(address)}`).join("&");
    return this.#ask({ ":method": "GET", ":path": `/probe?${query}` }, { schema: ProbeReply }, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#duplex.destroy();
    return this.ended;
  }

  async #ask<T extends TSchema>(
    headers: Record<string, string>,
    { schema, body }: { readonly schema: T; readonly body?: object },
    signal: AbortSignal,
  ): Promise<Static<T>> {
    const stream = this.#request(headers, body === undefined);
    if (body !== undefined) stream.end(JSON.stringify(body));
    const head = await this.#head(stream, signal);
    if (head[":status"] === constants.HTTP_STATUS_OK)
      return checked(schema, await readText(stream, MAX_REPLY_BYTES, signal));
    stream.resume(); // the head says it all, and the stream may be over with it
    throw failureFrom(head);
  }

  #request(headers: Record<string, string>, endStream: boolean): ClientHttp2Stream {
    if (!this.open) throw lost();
    const stream = this.#session.request(headers, { endStream });
    stream.on("error", () => {}); // whoever reads or writes hears of it
    this.#opened(stream);
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    return stream;
  }

  #head(stream: ClientHttp2Stream, signal: AbortSignal): Promise<IncomingHttpHeaders & { ":status"?: number }> {
    const head = () =>
      new Promise<IncomingHttpHeaders>((resolve, reject) => {
        stream.once("response", resolve);
        stream.once("error", (cause) => reject(lost(cause)));
        stream.once("close", () => reject(lost()));
      });
    return within({ clock: this.#clock, timeoutMs: ANSWER_TIMEOUT_MS, late }, head, signal).catch((error: unknown) => {
      stream.close(constants.NGHTTP2_CANCEL);
      throw isAbort(error, signal) ? signal.reason : error;
    });
  }

  #ping(signal: AbortSignal): Promise<void> {
    const answered = () =>
      new Promise<void>((resolve, reject) => {
        this.#session.once("close", () => reject(lost()));
        this.#session.ping((error) => (error === null ? resolve() : reject(lost(error))));
      });
    return within({ clock: this.#clock, timeoutMs: ANSWER_TIMEOUT_MS, late }, answered, signal);
  }
}

const late = () => new Failure("timed-out", `the sandbox does not answer within ${ANSWER_TIMEOUT_MS / 1000} s`);
const lost = (cause?: Error) => new Failure("link-lost", "the way into the sandbox was lost", { cause });

/** What the resident says of a refusal; it runs with the guest's rights, so its words are a stranger's. */
function failureFrom(headers: IncomingHttpHeaders): Failure {
  const header = headers[ERROR_HEADER];
  const { code, message, hint } = parseRefusal(typeof header === "string" ? header : "");
  return new Failure(isFailureCode(code) ? code : "bad-reply", cleanText(message, 300), {
    hint: hint === undefined ? undefined : cleanText(hint, 300),
  });
}

function checked<T extends TSchema>(schema: T, text: string): Static<T> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Failure("bad-reply", "what the sandbox answered is not JSON", { cause });
  }
  if (!Value.Check(schema, value)) throw new Failure("bad-reply", "what the sandbox answered is not as agreed");
  return value as Static<T>;
}

function parseRefusal(json: string): { readonly code: string; readonly message: string; readonly hint?: string } {
  const unknown = { code: "bad-reply", message: "the sandbox refused without a reason" };
  try {
    const { error } = JSON.parse(json) as { readonly error?: Record<string, unknown> };
    const { code, message, hint } = error ?? {};
    if (typeof code !== "string" || typeof message !== "string") return unknown;
    return { code, message, ...(typeof hint === "string" ? { hint } : {}) };
  } catch {
    return unknown;
  }
}
