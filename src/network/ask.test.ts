import assert from "node:assert/strict";
import { type ClientHttp2Stream, connect, createServer, type Http2ServerResponse } from "node:http2";
import { once } from "node:events";
import { describe, test } from "node:test";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { Type } from "typebox";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { ask, failureFrom, readText, wholeBody } from "./ask.ts";
import type { Link } from "./link.ts";

const signal = new AbortController().signal;

describe("ask", () => {
  test("gives up an answer that comes byte by byte, and lets go of it", async () => {
    const clock = new VirtualClock();
    const body = new PassThrough();
    const link = { request: async () => ({ status: 200, headers: {}, body }) } as unknown as Link;
    const asking = ask(link, { method: "GET", path: "/", reply: Type.Unknown(), clock }, signal);
    const refused = assert.rejects(asking, { code: "timed-out" });
    for (let second = 0; second < 31; second++) {
      if (!body.destroyed) body.write(" ");
      await clock.advance(1_000);
    }
    await refused;
    assert.equal(body.destroyed, true);
    assert.equal(clock.sleeperCount, 0);
  });
});

describe("failureFrom", () => {
  test("says whose disk is full, and asks nobody here to make room on it", () => {
    const value = { error: { code: "disk-full", message: "the disk is full", hint: "free some space (`df -h`)" } };
    const { code, message, hint } = failureFrom(507, value);
    assert.deepEqual(
      [code, message, hint],
      ["disk-full", "on the other node: the disk is full", "its owner has to free some space there"],
    );
  });
});

describe("readText", () => {
  test("reads an answer that was closed before anybody read it", async () => {
    const server = createServer((_request, response) => void response.end("all of it"));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = session.request({ ":path": "/" });
    await once(stream, "response");
    while (!stream.closed) await new Promise((resolve) => setImmediate(resolve));
    assert.equal(await readText(stream, 100, signal), "all of it");
    session.destroy();
    server.close();
  });

  test("refuses more than it was to take", async () => {
    const body = new PassThrough();
    body.end("four");
    await assert.rejects(readText(body, 3, signal), { code: "too-large" });
  });

  test("says when the answer ends in the middle", async () => {
    const body = new PassThrough();
    body.write("ha");
    setImmediate(() => body.destroy());
    await assert.rejects(readText(body, 3, signal), { code: "link-lost" });
  });

  test("stops when it is given up", async () => {
    const body = new PassThrough();
    await assert.rejects(readText(body, 3, AbortSignal.abort(new Error("enough"))), { message: "enough" });
    assert.equal(body.destroyed, true);
  });
});

describe("wholeBody", () => {
  test("ends where the answer ends", async () => {
    await using lab = await Answered.open();
    lab.response.end("and all of it");
    assert.equal(await text(wholeBody(lab.stream)), "half and all of it");
  });

  test("fails where the link broke, which for a stream of HTTP/2 is merely its close", async () => {
    await using lab = await Answered.open();
    const reading = assert.rejects(text(wholeBody(lab.stream)), { code: "link-lost" });
    await new Promise((resolve) => setImmediate(resolve));
    lab.response.stream.session?.destroy();
    await reading;
  });

  test("fails where it broke before anybody read it", async () => {
    await using lab = await Answered.open();
    lab.response.stream.session?.destroy();
    await once(lab.stream, "close");
    await assert.rejects(text(wholeBody(lab.stream)), { code: "link-lost" });
  });

  test("lets go of the stream when its reader leaves", async () => {
    await using lab = await Answered.open();
    const left = once(lab.response, "close");
    wholeBody(lab.stream).destroy();
    await left;
  });
});

/** Half an answer over HTTP/2. */
class Answered implements AsyncDisposable {
  readonly stream: ClientHttp2Stream;
  readonly response: Http2ServerResponse;
  readonly #end: () => void;

  static async open(): Promise<Answered> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const stream = session.request({ ":path": "/" });
    const [, response] = (await once(server, "request")) as [unknown, Http2ServerResponse];
    response.write("half ");
    await once(stream, "response");
    const end = () => {
      session.destroy();
      server.close();
    };
    return new Answered({ stream, response, end });
  }

  private constructor(parts: {
    readonly stream: ClientHttp2Stream;
    readonly response: Http2ServerResponse;
    readonly end: () => void;
  }) {
    this.stream = parts.stream;
    this.response = parts.response;
    this.#end = parts.end;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end();
  }
}
