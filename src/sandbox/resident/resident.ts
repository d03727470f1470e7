/**
 * Answers HTTP/2 on the byte streams that it is handed, with what `protocol.ts` lists.
 */

import { type IncomingHttpHeaders, performServerHandshake, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { Sleeper } from "./clock.ts";
import { keepReading, MAX_STREAMS, sessionOptions, widen } from "./http2-session.ts";
import { Refusal, refuse, refusalFrom } from "./refusal.ts";

export interface ResidentDeps {
  readonly sleeper: Sleeper;
  /** Of the resident alone: what sshd is told, its keys. */
  readonly folder: string;
  /** How sshd is started, as argv. Undefined: out of the helper. */
  readonly sshd: readonly string[] | undefined;
  /** What the runtime gives everybody inside: an image's own variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Told of an error that is a defect of ours. */
  readonly onDefect: (error: unknown) => void;
}

/** What it takes to answer one request. */
interface Asked extends Target {
  readonly stream: ServerHttp2Stream;
  readonly signal: AbortSignal;
}

interface Target {
  readonly kind: string;
  /** What stands after the kind, decoded. */
  readonly rest: string;
  readonly query: URLSearchParams;
}

const NO_QUERY = new URLSearchParams();
/** Of `PUT /ssh`: some keys. */
const MAX_BODY_BYTES = 16 * 1024;

export class Resident {
  readonly #deps: ResidentDeps;
  #streams = 0;
  #besides = 0;

  constructor(deps: ResidentDeps) {
    this.#deps = deps;
  }

  /** Answers on `duplex` until it closes. */
  serve(duplex: Duplex): void {
    const session = performServerHandshake(duplex, sessionOptions);
    session.on("error", () => duplex.destroy());
    session.once("close", () => duplex.destroy());
    duplex.on("error", () => {}); // the session closes, and that is what counts
    widen(session);
    const opened = keepReading(session, duplex, this.#deps.sleeper);
    session.on("stream", (stream, headers) => {
      opened(stream);
      this.#count(stream);
      if (!stream.destroyed) void this.#answer(stream, headers);
    });
  }

  #count(stream: ServerHttp2Stream): void {
    this.#streams++;
    stream.on("error", () => {}); // whoever reads or writes hears of it
    stream.once("close", () => this.#streams--);
  }

  async #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const gone = new AbortController();
    stream.once("close", () => gone.abort());
    try {
      if (this.#streams > MAX_STREAMS) throw new Refusal("busy", `the sandbox has ${MAX_STREAMS} streams open already`);
      const target = parseTarget(headers);
      const answer = this.#answers[target.kind];
      if (answer === undefined) throw new Refusal("not-found", "the sandbox does not know what was asked");
      await answer({ ...target, stream, signal: gone.signal });
    } catch (error) {
      if (gone.signal.aborted) return;
      if (!(error instanceof Refusal)) this.#deps.onDefect(error);
      if (stream.headersSent) stream.destroy();
      else refuse(stream, refusalFrom(error, "the sandbox"));
    }
  }

  /** Loads what is most likely asked for next, while whoever was just answered is busy with that. */
  #nextIs(answered: ServerHttp2Stream, load: () => Promise<unknown>): void {
    answered.once("close", () => setImmediate(() => void load().catch(this.#deps.onDefect)));
  }

  /** What each needs is loaded with the first that asks: the resident is up sooner. */
  readonly #answers: Readonly<Record<string, (asked: Asked) => Promise<void>>> = {
    exec: async ({ stream }) => {
      stream.respond({ ":status": 200 });
      const { serveExec } = await import("./exec.ts");
      await serveExec(stream, this.#deps);
    },
    port: async ({ stream, rest, signal }) => {
      const [{ dial }, { splice }] = await Promise.all([import("./dial.ts"), import("./splice.ts")]);
      const socket = await dial(rest, signal);
      stream.respond({ ":status": 200 });
      await splice(stream, socket);
    },
    ssh: async ({ stream }) => {
      const [{ startSshd }, { splice }] = await Promise.all([import("./ssh.ts"), import("./splice.ts")]);
      const sshd = await startSshd(this.#deps.folder, this.#deps.sshd);
      if (!stream.destroyed) stream.respond({ ":status": 200 });
      await splice(stream, sshd.duplex);
      sshd.end();
    },
    put: async ({ stream, rest }) => {
      stream.respond({ ":status": 200 });
      const { servePut } = await import("./files.ts");
      await servePut(stream, { rest, env: this.#deps.env });
    },
    get: async ({ stream, rest, signal }) => {
      stream.respond({ ":status": 200 });
      const { serveGet } = await import("./files.ts");
      await serveGet(stream, { rest, env: this.#deps.env }, signal);
    },
    "GET /probe": async ({ stream, query, signal }) => {
      const { probe } = await import("./probe.ts");
      answerJson(stream, await probe(query.getAll("dial"), this.#deps.sleeper, signal));
      this.#nextIs(stream, () => import("./ssh-setup.ts"));
    },
    "PUT /command": async ({ stream }) => {
      if (this.#besides++ > 0) throw new Refusal("conflict", "the command runs already");
      const { startBeside } = await import("./beside.ts");
      await startBeside(await readJson(stream), this.#deps);
      answerJson(stream, {});
    },
    "PUT /ssh": async ({ stream }) => {
      const { setUpSsh } = await import("./ssh-setup.ts");
      answerJson(stream, await setUpSsh(await readJson(stream), this.#deps));
      const terminal = async () => (await import("./terminal.ts")).binding();
      this.#nextIs(stream, () => Promise.all([import("./exec.ts"), terminal()]));
    },
  };
}

function answerJson(stream: ServerHttp2Stream, value: object): void {
  if (stream.destroyed) return;
  stream.respond({ ":status": 200, "content-type": "application/json" });
  stream.end(JSON.stringify(value));
}

async function readJson(stream: ServerHttp2Stream): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Refusal("too-large", `more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Refusal("bad-argument", "not JSON");
  }
}

function parseTarget(headers: IncomingHttpHeaders): Target {
  if (headers[":method"] !== "CONNECT") {
    const url = new URL(headers[":path"] ?? "/", "http://resident");
    return { kind: `${headers[":method"]} ${url.pathname}`, rest: "", query: url.searchParams };
  }
  const authority = headers[":authority"] ?? "";
  const colon = authority.indexOf(":");
  try {
    return { kind: authority.slice(0, colon), rest: decodeURIComponent(authority.slice(colon + 1)), query: NO_QUERY };
  } catch {
    throw new Refusal("bad-argument", "what was asked is badly encoded");
  }
}
