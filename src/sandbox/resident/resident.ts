/**
 * Answers HTTP/2 on the byte streams that it is handed, with what `protocol.ts` lists.
 */

import {
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Duplex } from "node:stream";
import type { Sleeper } from "./clock.ts";
import { dial } from "./dial.ts";
import { serveExec } from "./exec.ts";
import { keepReading, MAX_STREAMS, sessionOptions, widen } from "./http2-session.ts";
import { Refusal, refuse, refusalFrom } from "./refusal.ts";
import { splice } from "./splice.ts";

export interface ResidentDeps {
  readonly sleeper: Sleeper;
  /** What the runtime gives everybody inside: an image's own variables. */
  readonly env: Readonly<Record<string, string>>;
  /** Told of an error that is a defect of ours. */
  readonly onDefect: (error: unknown) => void;
}

/** What it takes to answer one request. */
interface Asked {
  readonly stream: ServerHttp2Stream;
  readonly rest: string;
  readonly signal: AbortSignal;
}

export class Resident {
  readonly #deps: ResidentDeps;
  #streams = 0;

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
      this.#count(session, stream);
      if (!stream.destroyed) void this.#answer(stream, headers);
    });
  }

  #count(_session: ServerHttp2Session, stream: ServerHttp2Stream): void {
    this.#streams++;
    stream.on("error", () => {}); // whoever reads or writes hears of it
    stream.once("close", () => this.#streams--);
  }

  async #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    const gone = new AbortController();
    stream.once("close", () => gone.abort());
    try {
      if (this.#streams > MAX_STREAMS) throw new Refusal("busy", `the sandbox has ${MAX_STREAMS} streams open already`);
      const { kind, rest } = parseTarget(headers);
      const answer = this.#answers[kind];
      if (answer === undefined) throw new Refusal("not-found", "the sandbox does not know what was asked");
      await answer({ stream, rest, signal: gone.signal });
    } catch (error) {
      if (gone.signal.aborted) return;
      if (!(error instanceof Refusal)) this.#deps.onDefect(error);
      if (stream.headersSent) stream.destroy();
      else refuse(stream, refusalFrom(error, "the sandbox"));
    }
  }

  readonly #answers: Readonly<Record<string, (asked: Asked) => Promise<void>>> = {
    exec: async ({ stream }) => {
      stream.respond({ ":status": 200 });
      await serveExec(stream, this.#deps);
    },
    port: async ({ stream, rest, signal }) => {
      const socket = await dial(rest, signal);
      stream.respond({ ":status": 200 });
      await splice(stream, socket);
    },
  };
}

function parseTarget(headers: IncomingHttpHeaders): { readonly kind: string; readonly rest: string } {
  if (headers[":method"] !== "CONNECT") return { kind: `${headers[":method"]} ${headers[":path"]}`, rest: "" };
  const authority = headers[":authority"] ?? "";
  const colon = authority.indexOf(":");
  try {
    return { kind: authority.slice(0, colon), rest: decodeURIComponent(authority.slice(colon + 1)) };
  } catch {
    throw new Refusal("bad-argument", "what was asked is badly encoded");
  }
}
