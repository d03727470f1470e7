import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { localProof } from "../core/light.ts";
import { openStream } from "./exchange.ts";
import { socketTransport } from "./transport.ts";

const { signal } = new AbortController();

// Pipes of Windows have other names; what is said on them is the same.
describe("a byte stream through the socket", { skip: process.platform === "win32" }, () => {
  test("carries bytes both ways, each to its own end, and those that came with the answer", async () => {
    await using lab = await Lab.open((request, socket) => {
      assert.equal(request.url, "box-port:a%20b%2F80");
      socket.write("HTTP/1.1 200 Connection Established\r\n\r\nearly ");
      socket.pipe(socket);
    });
    const stream = await openStream(socketTransport({ socketPath: lab.path }), "box-port:a b/80", signal);
    stream.end("late");
    assert.equal(await text(stream), "early late");
  });

  test("is refused with the words of the daemon", async () => {
    const body = JSON.stringify({ error: { code: "not-found", message: "no sandbox", hint: "look" } });
    await using lab = await Lab.open((_request, socket) => {
      socket.write(`HTTP/1.1 404 Refused\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 9)}`);
      setImmediate(() => socket.write(body.slice(9)));
    });
    const transport = socketTransport({ socketPath: lab.path });
    await assert.rejects(openStream(transport, "box-exec:no", signal), { code: "not-found", hint: "look" });
  });

  test("wants the daemon's proof where there is a token", async () => {
    const given: string[] = [];
    await using lab = await Lab.open(({ headers }, socket) => {
      const nonce = String(headers["p2prc-nonce"]);
      assert.equal(headers["p2prc-proof"], localProof("a token", "client", nonce));
      const proof = localProof(given.length === 0 ? "a token" : "guessed", "daemon", nonce);
      given.push(proof);
      socket.end(`HTTP/1.1 200 OK\r\np2prc-proof: ${proof}\r\n\r\nyes`);
    });
    const transport = socketTransport({ socketPath: lab.path, token: "a token" });
    const stream = await openStream(transport, "box-exec:box", signal);
    assert.equal(await text(stream), "yes");
    stream.end();
    await assert.rejects(openStream(transport, "box-exec:box", signal), { code: "home-unusable" });
  });

  test("goes on when its signal aborts after it was opened: Ctrl-C is for what runs at its other end", async () => {
    const interrupt = new AbortController();
    await using lab = await Lab.open((_request, socket) => {
      socket.write("HTTP/1.1 200 OK\r\n\r\n");
      socket.pipe(socket);
    });
    const stream = await openStream(socketTransport({ socketPath: lab.path }), "box-exec:box", interrupt.signal);
    interrupt.abort();
    stream.end("still here");
    assert.equal(await text(stream), "still here");
  });

  test("says when no daemon is there", async () => {
    const transport = socketTransport({ socketPath: join(tmpdir(), "p2prc-nobody-listens-here") });
    await assert.rejects(openStream(transport, "box-exec:box", signal), { code: "daemon-not-running" });
  });
});

class Lab implements AsyncDisposable {
  readonly path: string;
  readonly #folder: string;
  readonly #server: Server;

  static async open(onConnect: (request: IncomingMessage, socket: Duplex) => void): Promise<Lab> {
    const lab = new Lab(await mkdtemp(join(tmpdir(), "p2prc-transport-")), onConnect);
    lab.#server.listen(lab.path);
    await once(lab.#server, "listening");
    return lab;
  }

  private constructor(folder: string, onConnect: (request: IncomingMessage, socket: Duplex) => void) {
    this.#folder = folder;
    this.path = join(folder, "socket");
    this.#server = createServer().on("connect", onConnect);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await rm(this.#folder, { recursive: true });
  }
}
