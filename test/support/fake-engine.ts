/** A container engine that answers on a Unix socket what a test has written down, and remembers what it was asked. */

import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Engine } from "../../src/sandbox/runtime/docker/engine.ts";

/** Answers, or leaves it to the next one by returning false. */
export type FakeAnswer = (request: IncomingMessage, response: ServerResponse) => boolean;

export class FakeEngine implements AsyncDisposable {
  readonly engine: Engine;
  readonly asked: string[] = [];
  readonly #server: Server;
  readonly #folder: string;

  static async open(answers: readonly FakeAnswer[]): Promise<FakeEngine> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-engine-"));
    const socket = join(folder, "sock");
    const server = createServer();
    server.listen(socket);
    await once(server, "listening");
    return new FakeEngine(await Engine.open(socket), { server, folder, answers });
  }

  private constructor(
    engine: Engine,
    parts: { readonly server: Server; readonly folder: string; readonly answers: readonly FakeAnswer[] },
  ) {
    this.engine = engine;
    this.#server = parts.server;
    this.#folder = parts.folder;
    parts.server.on("request", (request, response) => {
      request.url = request.url?.replace(/\?$/u, ""); // dockerode writes it, with or without a query
      this.asked.push(`${request.method} ${request.url}`);
      if (parts.answers.some((answer) => answer(request, response))) return;
      response.writeHead(404, { "content-type": "application/json" }).end(JSON.stringify({ message: "no such thing" }));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Lines of JSON, as an engine tells how far it is; undefined in the end breaks the connection off. */
export function saysLines(path: string, lines: readonly (object | undefined)[]): FakeAnswer {
  return (request, response) => {
    if (request.url?.startsWith(path) !== true) return false;
    request.resume();
    response.writeHead(200, { "content-type": "application/json" });
    for (const line of lines) {
      if (line !== undefined) response.write(`${JSON.stringify(line)}\r\n`);
      else setTimeout(() => response.destroy(), 20); // what was written goes out first
    }
    if (!lines.includes(undefined)) response.end();
    return true;
  };
}

export function saysJson(path: string, value: object, status = 200): FakeAnswer {
  return (request, response) => {
    if (request.url?.startsWith(path) !== true) return false;
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    return true;
  };
}
