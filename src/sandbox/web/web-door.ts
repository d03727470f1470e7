/**
 * Private URLs: a web server on loopback that shows the ports of this person's sandboxes under names of their own. Who is
 * let in is decided in `visit.ts`; the rest passes through as it is, WebSockets too.
 */

import { once } from "node:events";
import { Agent, createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { createProxyServer, type ProxyServer } from "httpxy";
import { isAbort, type Log } from "../../base/index.ts";
import { Failure, failures } from "../../core/index.ts";
import { cookiesToSet, cookiesWithoutOurs, judge, type Keys, privateUrl, type Visit, type Visited } from "./visit.ts";

export interface WebDoorDeps {
  /** A byte stream to what the host names. @throws {Failure} not-found, unreachable, … */
  readonly connect: (visited: Visited, signal: AbortSignal) => Promise<Duplex>;
  readonly secret: Uint8Array;
  readonly log: Log;
}

/** Beside the node's own; where it is taken, one of those after it. */
const PORTS = [8087, 8187, 8287, 0];
const MAX_CONNECTIONS = 512;
/** A browser opens 6 for a page; one page must not take all streams of a link. */
const MAX_STREAMS = 64;

type Target = Extract<Visit, { kind: "admitted" }>;

export class WebDoor implements AsyncDisposable {
  readonly #deps: WebDoorDeps;
  readonly #server: Server;
  readonly #proxy: ProxyServer;
  readonly #ending = new AbortController();
  readonly #agents = new Map<string, Agent>();

  /** @param ports the first that is free is taken @default 8087, 8187, 8287, any */
  static async open(
    deps: WebDoorDeps,
    { ports = PORTS }: { readonly ports?: readonly number[] },
    signal: AbortSignal,
  ): Promise<WebDoor> {
    const door = new WebDoor(deps);
    for (const port of ports) {
      signal.throwIfAborted();
      try {
        door.#server.listen({ port, host: "127.0.0.1" });
        await once(door.#server, "listening", { signal });
        return door;
      } catch (error) {
        if (isAbort(error, signal)) throw error;
        if (!(error instanceof Error) || !("code" in error) || error.code !== "EADDRINUSE") throw error;
      }
    }
    throw new Failure("port-in-use", `the ports ${ports.join(", ")} of 127.0.0.1 are taken`, {
      hint: "private URLs need one of them",
    });
  }

  private constructor(deps: WebDoorDeps) {
    this.#deps = deps;
    this.#proxy = createProxyServer({});
    this.#proxy.on("proxyRes", (reply) => {
      const cookies = reply.headers["set-cookie"];
      if (cookies !== undefined) reply.headers["set-cookie"] = [...cookiesToSet(cookies)];
    });
    this.#server = createServer({ maxHeaderSize: 65_536, requestTimeout: 0 }, (request, response) =>
      this.#answer(request, response),
    );
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.#server.on("upgrade", (request, socket, head) => this.#upgrade(request, socket, head));
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** What a person opens first: it holds the token. */
  urlOf(visited: Visited): string {
    return privateUrl(visited, this.#keys);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ending.abort();
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    for (const agent of this.#agents.values()) agent.destroy();
    await closed;
  }

  get #keys(): Keys {
    return { secret: this.#deps.secret, port: this.port };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const visit = this.#judge(request, false);
    if (visit.kind === "welcome") welcome(response, visit);
    else if (visit.kind === "refused") sayNo(response, visit.status, visit.why);
    else {
      hideToken(request);
      this.#proxy.web(request, response, this.#to(visit)).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else sayNo(response, error instanceof Failure ? failures[error.code].status : 502, wordsOf(error));
      });
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const visit = this.#judge(request, true);
    if (visit.kind !== "admitted") {
      socket.end("HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
      return;
    }
    hideToken(request);
    this.#proxy
      .ws(request, socket as Parameters<ProxyServer["ws"]>[1], this.#to(visit), head)
      .catch((error: unknown) => {
        this.#deps.log.debug("an upgrade failed", { why: wordsOf(error) });
        socket.destroy();
      });
  }

  #judge({ method = "GET", url = "/", headers }: IncomingMessage, upgrade: boolean): Visit {
    return judge({ method, url, upgrade, headers }, this.#keys);
  }

  #to(target: Target) {
    return { target: "http://sandbox", agent: this.#agentOf(target) };
  }

  /** Streams are kept for the next request, as a browser does with its connections. */
  #agentOf({ box, port }: Target): Agent {
    const key = `${port ?? ""}.${box}`;
    const known = this.#agents.get(key);
    if (known !== undefined) return known;
    const agent = new StreamAgent((signal) => this.#deps.connect({ box, port }, signal), this.#ending.signal);
    this.#agents.set(key, agent);
    return agent;
  }
}

/** Gets its connections from elsewhere. */
class StreamAgent extends Agent {
  readonly #connect: (signal: AbortSignal) => Promise<Duplex>;
  readonly #signal: AbortSignal;

  constructor(connect: (signal: AbortSignal) => Promise<Duplex>, signal: AbortSignal) {
    super({ keepAlive: true, maxSockets: MAX_STREAMS, maxFreeSockets: 6 });
    this.#connect = connect;
    this.#signal = signal;
  }

  override createConnection(_options: unknown, done: (error: Error | null, stream: Duplex) => void): undefined {
    void this.#open(done);
    return undefined;
  }

  async #open(done: (error: Error | null, stream: Duplex) => void): Promise<void> {
    try {
      done(null, likeSocket(await this.#connect(this.#signal)));
    } catch (error) {
      // The types of Node want a stream beside the error; nobody looks at it.
      done(error instanceof Error ? error : new Error(String(error)), undefined as unknown as Duplex);
    }
  }
}

/** Node's client and the proxy turn these knobs of a TCP socket; a stream of a link has none of them. */
function likeSocket(stream: Duplex): Duplex {
  const same = () => stream;
  return Object.assign(stream, { setTimeout: same, setNoDelay: same, setKeepAlive: same, ref: same, unref: same });
}

function hideToken(request: IncomingMessage): void {
  const cookie = cookiesWithoutOurs(request.headers.cookie);
  if (cookie === undefined) delete request.headers.cookie;
  else request.headers.cookie = cookie;
}

/** Not a redirect: a browser that came from another site would not send the strict cookie along with it. */
function welcome(response: ServerResponse, { cookie, to }: Extract<Visit, { kind: "welcome" }>): void {
  const page = `<!doctype html><meta http-equiv="refresh" content="0;url=${escaped(to)}"><a href="${escaped(to)}">go on</a>\n`;
  response.writeHead(200, { ...PAGE, "set-cookie": cookie }).end(page);
}

function sayNo(response: ServerResponse, status: number, why: string): void {
  const page = `<!doctype html><title>p2prc</title><p>${escaped(why)}</p><p>Open the URL that <code>p2prc port ls</code> prints, in the address bar.</p>\n`;
  response.writeHead(status, PAGE).end(page);
}

const PAGE = {
  "content-type": "text/html; charset=utf-8",
  "cache-control": "no-store",
  "referrer-policy": "no-referrer",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
  "x-content-type-options": "nosniff",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function wordsOf(error: unknown): string {
  return error instanceof Failure ? error.message : "nothing answers on this port of the sandbox";
}
