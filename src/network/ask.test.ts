import assert from "node:assert/strict";
import { connect, createServer } from "node:http2";
import { once } from "node:events";
import { describe, test } from "node:test";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { Type } from "typebox";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { ask, readText } from "./ask.ts";
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
