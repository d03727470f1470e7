import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { test } from "node:test";
import { silentLog, systemClock } from "../base/index.ts";
import { Answering, identityFromSeed, Network, TcpCarrier } from "../network/index.ts";
import { askTable } from "./ask.ts";
import { MAX_REPLY_BYTES } from "./contract.ts";

const never = new AbortController().signal;
const GIGABYTE = 1e9;
const CHUNK = Buffer.alloc(65_536, 0x20);
/** What may be under way when the reader says stop: the stream's window, and what the sockets hold. */
const UNDER_WAY_BYTES = 48 * 1024 * 1024;

test("a table reply of 1 GB is cut at the cap, on a real link, and the link goes on", { timeout: 20_000 }, async () => {
  await using answerer = await End.open();
  await using asker = await End.open();
  let sent = 0;
  const ended = Promise.withResolvers<void>();
  answerer.answering.attach(
    (request, response) => {
      if (request.url !== "/v1/table") {
        response.end("still here");
        return;
      }
      const endless = function* () {
        for (; sent < GIGABYTE; sent += CHUNK.length) yield CHUNK;
      };
      response.setHeader("content-type", "application/json");
      const body = Readable.from(endless());
      response.once("close", () => ended.resolve());
      body.pipe(response);
    },
    (tunnel) => tunnel.accept().destroy(),
  );
  await using listener = await answerer.network.listen({ hosts: ["127.0.0.1"], port: 0 }, never);
  const link = await asker.network.link({ id: answerer.id, endpoints: listener.endpoints, via: [] }, never);
  const before = process.memoryUsage().rss;
  await assert.rejects(askTable(link, { limit: 1 }, never), { code: "too-large" });
  await ended.promise; // the other end is told to stop
  assert.ok(sent < MAX_REPLY_BYTES + UNDER_WAY_BYTES, `${sent} bytes were sent`);
  assert.ok(process.memoryUsage().rss - before < 200 * 1024 * 1024);
  assert.equal((await link.request({ method: "GET", path: "/v1/node" }, never)).status, 200);
});

class End implements AsyncDisposable {
  readonly id;
  readonly answering = new Answering(systemClock, { isKnown: () => true });
  readonly network: Network;

  static async open(): Promise<End> {
    return new End(await identityFromSeed(randomBytes(32)));
  }

  private constructor(identity: Awaited<ReturnType<typeof identityFromSeed>>) {
    const isTrusted = () => true;
    this.id = identity.id;
    const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted });
    const deps = { id: identity.id, carrier, answering: this.answering, clock: systemClock, log: silentLog };
    this.network = new Network({ ...deps, isTrusted, isKnown: () => true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.network[Symbol.asyncDispose]();
    await this.answering[Symbol.asyncDispose]();
  }
}
