import assert from "node:assert/strict";
import { connect, createServer } from "node:http2";
import { once } from "node:events";
import { describe, test } from "node:test";
import type { AddressInfo } from "node:net";
import { PassThrough } from "node:stream";
import { readText } from "./ask.ts";

const signal = new AbortController().signal;

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
