import assert from "node:assert/strict";
import { once } from "node:events";
import type { Http2ServerResponse } from "node:http2";
import { Readable } from "node:stream";
import { describe, test } from "node:test";
import { Type } from "typebox";
import { silentLog, systemClock, within } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { Answering, type RawRequest } from "./answering.ts";
import { ask } from "./ask.ts";
import { identityFromSeed } from "./identity.ts";
import type { Link } from "./link.ts";
import { Network } from "./network.ts";
import { TcpCarrier } from "./tcp-carrier.ts";

const never = new AbortController().signal;
const reply = Type.Object({ records: Type.Array(Type.String()) });

describe("a link between two who do not trust each other", { timeout: 30_000 }, () => {
  test("cuts an answer of a gigabyte off at the cap, and goes on", async () => {
    let sent = 0;
    await using lab = await Lab.open((request, response) => {
      if (request.url === "/small") return void response.end('{"records":[]}');
      const chunk = Buffer.alloc(65_536, "x");
      const endless = new Readable({
        read() {
          sent += chunk.length;
          this.push(sent > 2 ** 30 ? null : chunk);
        },
      });
      endless.on("error", () => undefined).pipe(response);
      response.on("close", () => endless.destroy());
    });
    await assert.rejects(ask(lab.link, { method: "GET", path: "/huge", reply, maxBytes: 400_000 }, never), {
      code: "too-large",
    });
    assert.deepEqual(await ask(lab.link, { method: "GET", path: "/small", reply }, never), { records: [] });
    assert.ok(sent < 40 * 2 ** 20, `${sent} bytes were sent all the same`); // what the windows let through
  });

  test("lets go of an answer that comes byte by byte, when its time is up", async () => {
    const closed = Promise.withResolvers<void>();
    await using lab = await Lab.open((_request, response) => {
      response.write("{");
      response.on("close", closed.resolve);
    });
    const late = () => new Failure("timed-out", "no answer in time");
    const asking = within(
      { clock: systemClock, timeoutMs: 100, late },
      (signal) => ask(lab.link, { method: "GET", path: "/slow", reply }, signal),
      never,
    );
    await assert.rejects(asking, { code: "timed-out" });
    await closed.promise; // the stream is given up, not left open
    assert.equal(lab.link.open, true);
  });

  test("has room for 256 requests at once, and no more", async () => {
    let running = 0;
    let most = 0;
    const all = Promise.withResolvers<void>();
    await using lab = await Lab.open(async (_request, response) => {
      most = Math.max(most, ++running);
      if (running === 256) setImmediate(() => setImmediate(all.resolve));
      await all.promise;
      running--;
      response.end("{}");
    });
    const asked = Array.from({ length: 300 }, () => lab.link.request({ method: "GET", path: "/" }, never));
    const answers = await Promise.allSettled(asked);
    const statuses = answers.filter((one) => one.status === "fulfilled").map(({ value }) => value.body.destroy());
    assert.equal(most, 256);
    assert.ok(statuses.length >= 256, String(statuses.length));
  });

  test("refuses headers over 8 KiB, and goes on", async () => {
    await using lab = await Lab.open((_request, response) => void response.end("{}"));
    const path = `/${"x".repeat(20_000)}`;
    const refused = await lab.link.request({ method: "GET", path }, never).then(
      ({ status }) => status,
      (error: unknown) => (error instanceof Failure ? error.code : error),
    );
    assert.ok(refused === 431 || refused === "link-lost", String(refused));
    assert.deepEqual(lab.paths, []);
    assert.equal((await lab.link.request({ method: "GET", path: "/small" }, never)).status, 200);
  });

  test("fails what runs when the other end goes in the middle of an answer", async () => {
    await using lab = await Lab.open((_request, response) => void response.write("{"));
    const asking = ask(lab.link, { method: "GET", path: "/", reply }, never);
    await once(lab.answered, "request");
    lab.hangUp();
    await assert.rejects(asking);
    assert.equal((await lab.link.ended) instanceof Failure || !lab.link.open, true);
  });
});

/** One node that answers as the test says, and a link of another to it. */
class Lab implements AsyncDisposable {
  readonly paths: string[] = [];
  readonly answered = new EventTarget();
  readonly #ends: readonly AsyncDisposable[];
  readonly #answering: Answering;
  readonly link: Link;

  static async open(answer: (request: RawRequest, response: Http2ServerResponse) => unknown): Promise<Lab> {
    const [server, client] = [await end(1), await end(2)];
    const listener = await server.network.listen({ hosts: ["127.0.0.1"], port: 0 }, never);
    const target = { id: server.identity.id, endpoints: listener.endpoints, via: [] };
    const link = client.network.link(target, never);
    const made: { lab?: Lab } = {};
    server.answering.attach(
      (request, response) => {
        made.lab?.paths.push(request.url ?? "");
        made.lab?.answered.dispatchEvent(new Event("request"));
        void answer(request, response as Http2ServerResponse);
      },
      (tunnel) => tunnel.refuse(new Failure("not-found", "none")),
    );
    const ends = [listener, client.network, server.network, client.answering, server.answering];
    made.lab = new Lab(await link, server.answering, ends);
    return made.lab;
  }

  private constructor(link: Link, answering: Answering, ends: readonly AsyncDisposable[]) {
    this.link = link;
    this.#answering = answering;
    this.#ends = ends;
  }

  hangUp(): void {
    for (const { caller } of this.#answering.callers) if (caller.kind === "node") this.#answering.hangUp(caller.id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.#ends) await one[Symbol.asyncDispose]();
  }
}

async function end(number: number) {
  const identity = await identityFromSeed(Buffer.alloc(32, number));
  const [isTrusted, isKnown] = [() => true, () => false];
  const carrier = new TcpCarrier({ identity, clock: systemClock, isTrusted });
  const answering = new Answering(systemClock, { isKnown });
  const log = silentLog;
  const network = new Network({ id: identity.id, carrier, answering, clock: systemClock, log, isTrusted, isKnown });
  return { identity, answering, network };
}
