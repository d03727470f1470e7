/**
 * Where the person's own programs ask: HTTP/1.1 on the Unix socket in the home (0600 in a 0700
 * folder), on Windows a named pipe.
 *
 * A pipe may be opened by any user of the machine, so there both ends prove with each request that they
 * can read the token in the home (`core/local-proof.ts`).
 */

import { timingSafeEqual } from "node:crypto";
import { once } from "node:events";
import { chmod } from "node:fs/promises";
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { nodeHttp } from "../base/index.ts";
import { Failure, localProof } from "../core/index.ts";
import type { RawRequest, Requests, Tunnel } from "../network/index.ts";
import type { Home } from "../store/index.ts";
import { localTunnel } from "./local-tunnel.ts";

/** Who answers what comes in: requests, and `CONNECT` streams. */
export interface LocalAnswers {
  readonly requests: Requests;
  readonly tunnels: (tunnel: Tunnel) => void;
}

export interface LocalServerOptions {
  readonly home: Home;
  /** Undefined where the file system keeps others out. */
  readonly token: string | undefined;
}

/** Connections of the person's own programs, known as such from their first byte on. */
const locals = new WeakSet<Socket>();

/** Whether the request came in on a local socket. */
export function isLocal(request: RawRequest): boolean {
  return !("stream" in request) && locals.has(request.socket);
}

export class LocalServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  /** @throws {Failure} home-unusable */
  static async open(
    answers: LocalAnswers,
    { home, token }: LocalServerOptions,
    signal: AbortSignal,
  ): Promise<LocalServer> {
    signal.throwIfAborted();
    const local = new LocalServer(answers, token);
    try {
      local.#server.listen(home.socket);
      await once(local.#server, "listening", { signal });
      if (home.platform !== "win32") await chmod(home.socket, 0o600);
      return local;
    } catch (cause) {
      signal.throwIfAborted();
      throw new Failure("home-unusable", `cannot listen on "${home.socket}"`, {
        hint: "choose another home with --home",
        cause,
      });
    }
  }

  private constructor({ requests, tunnels }: LocalAnswers, token: string | undefined) {
    this.#server = nodeHttp.createServer(
      { keepAliveTimeout: 30_000, requestTimeout: 0, headersTimeout: 10_000 },
      (request, response) => {
        const headers = proofs(request, token);
        if (headers === undefined) response.writeHead(404).end();
        else requests(request, withHeaders(response, headers));
      },
    );
    this.#server.on("connect", (request, socket, head) => {
      const headers = proofs(request, token);
      if (headers === undefined) socket.end("HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n");
      else tunnels(localTunnel(request, { socket, head, headers }));
    });
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      locals.add(socket);
      socket.on("error", () => {}).once("close", () => this.#sockets.delete(socket));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}

/** What the answer is to carry; undefined where the client could not prove that it may read the token. */
function proofs(request: IncomingMessage, token: string | undefined): Readonly<Record<string, string>> | undefined {
  if (token === undefined) return {};
  const { "p2prc-nonce": nonce, "p2prc-proof": proof } = request.headers;
  if (typeof nonce !== "string" || typeof proof !== "string" || nonce.length > 128) return undefined;
  const expected = Buffer.from(localProof(token, "client", nonce));
  const given = Buffer.from(proof);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined;
  return { "p2prc-proof": localProof(token, "daemon", nonce) };
}

function withHeaders(response: ServerResponse, headers: Readonly<Record<string, string>>): ServerResponse {
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  return response;
}
