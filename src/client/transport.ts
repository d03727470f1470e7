/**
 * HTTP/1.1 to the daemon over its Unix socket (a named pipe on Windows). It knows sockets and
 * nothing of what is asked; tests put another one in its place.
 */

import { randomBytes, timingSafeEqual } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { connect as dial, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { nodeHttp } from "../base/index.ts";
import { Failure, localProof } from "../core/light.ts";

export interface Exchange {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With the query. */
  readonly path: string;
  /** Sent as JSON. */
  readonly body?: unknown;
}

export interface Reply {
  readonly status: number;
  readonly body: AsyncIterable<Uint8Array>;
}

export interface Transport extends AsyncDisposable {
  /**
   * Resolves with the head of the answer, whatever its status.
   * @throws {Failure} daemon-not-running, daemon-failed
   */
  send(exchange: Exchange, signal: AbortSignal): Promise<Reply>;
  /**
   * A byte stream to `<kind>:<rest>`, as in `box-exec:my-box`. A status other than 200 is the refusal, with its words.
   * @throws {Failure} daemon-not-running, daemon-failed
   */
  connect(target: string, signal: AbortSignal): Promise<Duplex | Reply>;
}

export interface SocketTransportOptions {
  readonly socketPath: string;
  /** What both ends of a named pipe prove to each other that they can read. Not needed on a Unix socket. */
  readonly token?: string | undefined;
}

/** Connects when asked something, and keeps the connection for the next question. */
export function socketTransport({ socketPath, token }: SocketTransportOptions): Transport {
  const agent = new nodeHttp.Agent({ keepAlive: true });
  return {
    async send({ method, path, body }, signal) {
      signal.throwIfAborted();
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const proof = proofWith(token);
      const headers = {
        host: "localhost",
        ...(payload === undefined
          ? {}
          : { "content-type": "application/json", "content-length": Buffer.byteLength(payload) }),
        ...proof.headers,
      };
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      const outgoing = nodeHttp.request({ socketPath, agent, method, path, headers, signal }, resolve);
      outgoing.on("error", (error) => reject(whatWentWrong(error, signal)));
      outgoing.end(payload);
      const incoming = await promise;
      proof.check(incoming);
      return { status: incoming.statusCode ?? 0, body: readBody(incoming, signal) };
    },
    async connect(target, signal) {
      signal.throwIfAborted();
      const proof = proofWith(token);
      const { promise, resolve, reject } = Promise.withResolvers<readonly [IncomingMessage, Socket, Buffer]>();
      const outgoing = nodeHttp.request({
        method: "CONNECT",
        path: encodeTarget(target),
        headers: { host: "localhost", ...proof.headers },
        // A connection of its own; either way ends by itself.
        createConnection: () => dial({ path: socketPath, allowHalfOpen: true }),
        signal,
      });
      outgoing.on("error", (error) => reject(whatWentWrong(error, signal)));
      outgoing.once("connect", (incoming, socket, head) => resolve([incoming, socket as Socket, head]));
      outgoing.end();
      const [incoming, socket, head] = await promise;
      socket.on("error", () => undefined); // whoever reads or writes hears of it
      try {
        proof.check(incoming);
      } catch (error) {
        socket.destroy(); // after a CONNECT it is ours, not the answer's
        throw error;
      }
      if (head.length > 0) socket.unshift(head);
      if (incoming.statusCode === 200) return socket;
      const length = Number(incoming.headers["content-length"] ?? 0);
      return { status: incoming.statusCode ?? 0, body: readRefusal(socket, length, signal) };
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
    },
  };
}

/** What stands for a host and port in an HTTP request may hold no blank, slash or question mark. */
function encodeTarget(target: string): string {
  const colon = target.indexOf(":");
  return `${target.slice(0, colon)}:${encodeURIComponent(target.slice(colon + 1))}`;
}

/** After a refused `CONNECT` Node leaves the body on the socket. */
async function* readRefusal(socket: Socket, length: number, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  let rest = Math.min(length, MAX_REFUSAL_BYTES);
  try {
    for await (const chunk of socket as AsyncIterable<Uint8Array>) {
      yield chunk.subarray(0, rest);
      rest -= chunk.length;
      if (rest <= 0) return;
    }
  } catch (error) {
    throw whatWentWrong(error as Error, signal);
  } finally {
    socket.destroy();
  }
}

/** An error is a message and a hint. */
const MAX_REFUSAL_BYTES = 64 * 1024;

/** What shows on a named pipe that both ends can read the token: sent with a question, and looked for in the answer. */
function proofWith(token: string | undefined) {
  if (token === undefined) return { headers: {}, check: () => undefined };
  const nonce = randomBytes(16).toString("hex");
  return {
    headers: { "p2prc-nonce": nonce, "p2prc-proof": localProof(token, "client", nonce) },
    check: (incoming: IncomingMessage) => checkProof(incoming, localProof(token, "daemon", nonce)),
  };
}

async function* readBody(incoming: IncomingMessage, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of incoming as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    throw whatWentWrong(error as Error, signal);
  }
}

function whatWentWrong(error: NodeJS.ErrnoException, signal: AbortSignal): Error {
  if (signal.aborted) return signal.reason as Error;
  switch (error.code) {
    case "ENOENT":
    case "ECONNREFUSED": // the file of a daemon that was killed
      return new Failure("daemon-not-running", "no daemon runs for this home", {
        hint: "start one with `p2prc -s`",
        cause: error,
      });
    case "ENOTDIR":
      return new Failure("home-unusable", "the home is not a folder", {
        hint: "name another one with --home or P2PRC_HOME",
        cause: error,
      });
    case "EACCES":
      return new Failure("home-unusable", "the daemon's socket is another user's", {
        hint: "name a home of your own with --home or P2PRC_HOME",
        cause: error,
      });
    default:
      return new Failure("daemon-failed", `the daemon broke off (${error.code ?? error.message})`, {
        hint: "`p2prc logs` may say why",
        cause: error,
      });
  }
}

/** @throws {Failure} home-unusable when somebody else holds the pipe's name */
function checkProof(incoming: IncomingMessage, expected: string): void {
  const given = Buffer.from(String(incoming.headers["p2prc-proof"] ?? ""));
  if (given.length === expected.length && timingSafeEqual(given, Buffer.from(expected))) return;
  incoming.destroy();
  throw new Failure("home-unusable", "what answers at the daemon's address is not this home's daemon", {
    hint: "end the program that holds the pipe, then try again",
  });
}
