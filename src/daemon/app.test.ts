import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer as createHttp1, request as request1 } from "node:http";
import { connect as connectHttp2, createServer as createHttp2 } from "node:http2";
import type { Server } from "node:net";
import { describe, test } from "node:test";
import { json } from "node:stream/consumers";
import type { FastifyPluginAsync } from "fastify";
import { Type } from "typebox";
import { type Log, silentLog } from "../base/index.ts";
import { admits, type Caller, Failure } from "../core/index.ts";
import type { Requests } from "../network/index.ts";
import { buildApp, handlerOf } from "./app.ts";
import { Metrics } from "./metrics.ts";

/** Every answer is the same on both. */
for (const http of ["HTTP/1.1", "HTTP/2"] as const) {
  describe(`the application over ${http}`, { timeout: 20_000 }, () => {
    test("answers a failure with its status, code, words and hint", async () => {
      await using lab = await Lab.open(http);
      assert.deepEqual(await lab.ask("GET", "/fails"), {
        status: 404,
        body: { error: { code: "unknown-node", message: 'no node "attic"', hint: "look again" } },
      });
    });

    test("answers a defect with 500, and keeps what it was for the log", async () => {
      await using lab = await Lab.open(http);
      const { status, body } = await lab.ask("GET", "/breaks");
      assert.equal(status, 500);
      assert.doesNotMatch(JSON.stringify(body), /secret|at /);
      assert.match(String(lab.errors), /the secret reason/);
    });

    test("answers 404 where there is nothing", async () => {
      await using lab = await Lab.open(http);
      for (const path of ["/nowhere", "/v1/../etc/passwd", "/fails/more", `/${"x".repeat(2_000)}`]) {
        const { status, body } = await lab.ask("GET", path);
        assert.deepEqual([status, codeOf(body)], [404, "not-found"], path);
      }
      assert.equal((await lab.ask("DELETE", "/fails")).status, 404);
    });

    test("refuses a body over its route's limit with 413", async () => {
      await using lab = await Lab.open(http);
      const { status, body } = await lab.ask("POST", "/takes", JSON.stringify({ name: "x".repeat(300) }));
      assert.deepEqual([status, codeOf(body)], [413, "too-large"]);
    });

    test("refuses what is not JSON, what is not as agreed, and what has more than was agreed", async () => {
      await using lab = await Lab.open(http);
      for (const junk of ['{"name":', "\u0000\u0001", "[]", "null", "{}", '{"name":{}}', '{"name":"a","more":1}']) {
        const { status, body } = await lab.ask("POST", "/takes", junk);
        assert.deepEqual([status, codeOf(body)], [400, "bad-argument"], junk);
      }
      assert.deepEqual(await lab.ask("POST", "/takes", '{"name":"attic"}'), { status: 200, body: { name: "attic" } });
    });

    test("refuses a type of body that nobody reads", async () => {
      await using lab = await Lab.open(http);
      const { status, body } = await lab.ask("POST", "/takes", { type: "text/xml", body: "<name/>" });
      assert.deepEqual([status, codeOf(body)], [400, "bad-argument"]);
    });

    test("refuses who is not admitted before it reads the body", async () => {
      await using lab = await Lab.open(http, { kind: "anonymous", remote: "192.0.2.7:1" });
      const { status, body } = await lab.ask("POST", "/takes", '{"name":');
      assert.deepEqual([status, codeOf(body)], [404, "not-found"]);
    });

    test("answers HEAD as GET, without the body", async () => {
      await using lab = await Lab.open(http);
      assert.equal(await lab.head("/named/attic"), 200);
      assert.equal(await lab.head("/fails"), 404);
    });

    test("answers HEAD to nobody whom GET does not admit", async () => {
      await using lab = await Lab.open(http, { kind: "anonymous", remote: "192.0.2.7:1" });
      assert.equal(await lab.head("/named/attic"), 404);
    });

    test("calls it no defect when an asker that leaves breaks what was done for him", async () => {
      await using lab = await Lab.open(http);
      const left = lab.leave("/snaps");
      await lab.waiting.promise;
      left();
      await lab.gone.promise;
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
      assert.deepEqual(lab.errors, []);
    });

    test("ends what it does for an asker that leaves", async () => {
      await using lab = await Lab.open(http);
      const left = lab.leave("/waits");
      await lab.waiting.promise;
      left();
      assert.match(String(await lab.gone.promise), /whoever asked has left/);
    });
  });
}

describe("the application", () => {
  test("does not start with a route that does not say whom it admits", async () => {
    const open: FastifyPluginAsync = async (app) => void app.get("/open", () => ({}));
    await assert.rejects(buildApp({ ...world(silentLog), plugins: [open] }), /does not say whom it admits/);
  });

  test("counts answers by the pattern of the route, never by the path", async () => {
    const metrics = new Metrics(() => noGauges);
    const { app } = await buildApp({ ...world(silentLog), metrics, plugins: [routes(new Lab())] });
    for (const name of ["a", "b", "c"]) await app.inject({ method: "GET", url: `/named/${name}` });
    const text = await metrics.text();
    assert.match(text, /p2prc_requests_total\{route="\/named\/:name",role="local",status="200"\} 3/);
    await app.close();
  });
});

const relay = { counts: { streams: 0, opened: 0, bytes: 0, refused: 0, overQuota: 0 }, registered: 0, via: [] };
const punch = { endpoints: 0, nodesKnown: 0, pending: 0, connections: 0 };
const noGauges = { links: {}, callers: 0, nodes: {}, lends: false, guests: 0, junkRecords: 0, relay, punch };

function world(log: Log, caller: Caller = { kind: "local" }) {
  const role = caller.kind === "local" ? ("local" as const) : ("anonymous" as const);
  return { log, metrics: new Metrics(() => noGauges), guard: { callerOf: () => caller, roleOf: () => role } };
}

function routes(lab: Lab): FastifyPluginAsync {
  const config = { admits: admits.owner };
  const Named = Type.Object({ name: Type.String() }, { additionalProperties: false });
  return async (app) => {
    app.get("/fails", { config }, () => {
      throw new Failure("unknown-node", 'no node "attic"', { hint: "look again" });
    });
    app.get("/breaks", { config }, () => {
      throw new TypeError("the secret reason");
    });
    app.post("/takes", { config, bodyLimit: 256, schema: { body: Named } }, (request) => request.body);
    app.get("/named/:name", { config }, () => ({}));
    app.get("/snaps", { config }, async (request) => {
      lab.waiting.resolve();
      await new Promise((resolve) => request.signal.addEventListener("abort", resolve, { once: true }));
      lab.gone.resolve(undefined);
      throw new Error("Premature close");
    });
    app.get("/waits", { config }, async (request) => {
      lab.waiting.resolve();
      await new Promise((resolve) => request.signal.addEventListener("abort", resolve, { once: true }));
      lab.gone.resolve(request.signal.reason);
      return {};
    });
  };
}

function codeOf(body: unknown): unknown {
  return (body as { error?: { code?: unknown } }).error?.code;
}

/** The application behind a listener of the test's own. */
class Lab implements AsyncDisposable {
  readonly waiting = Promise.withResolvers<void>();
  readonly gone = Promise.withResolvers<unknown>();
  readonly errors: unknown[] = [];
  #http: "HTTP/1.1" | "HTTP/2" = "HTTP/1.1";
  #server: Server | undefined;
  #close: () => Promise<void> = async () => {};

  static async open(http: "HTTP/1.1" | "HTTP/2", caller?: Caller): Promise<Lab> {
    const lab = new Lab();
    lab.#http = http;
    const log = {
      ...silentLog,
      error: (_message: string, facts?: object) => void lab.errors.push(JSON.stringify(facts, plain)),
    };
    const { app } = await buildApp({ ...world(log, caller), plugins: [routes(lab)] });
    const answer: Requests = handlerOf(app);
    lab.#server = http === "HTTP/1.1" ? createHttp1(answer) : createHttp2(answer);
    lab.#server.listen(0, "127.0.0.1");
    await once(lab.#server, "listening");
    lab.#close = () => app.close();
    return lab;
  }

  async ask(method: string, path: string, said?: string | { readonly type: string; readonly body: string }) {
    const { type, body } = typeof said === "object" ? said : { type: "application/json", body: said };
    const headers = body === undefined ? {} : { "content-type": type };
    if (this.#http === "HTTP/1.1") {
      const asking = request1({ host: "127.0.0.1", port: this.#port, method, path, headers, agent: false }).end(body);
      const [reply] = await once(asking, "response");
      return { status: reply.statusCode as number, body: await json(reply) };
    }
    const session = connectHttp2(`http://127.0.0.1:${this.#port}`);
    const stream = session.request({ ":method": method, ":path": path, ...headers }, { endStream: body === undefined });
    if (body !== undefined) stream.end(body);
    const [head] = await once(stream, "response");
    const value = await json(stream);
    session.close();
    return { status: head[":status"] as number, body: value };
  }

  /** The status of the answer to HEAD. */
  async head(path: string): Promise<number> {
    if (this.#http === "HTTP/1.1") {
      const asking = request1({ host: "127.0.0.1", port: this.#port, method: "HEAD", path, agent: false }).end();
      const [reply] = await once(asking, "response");
      reply.resume();
      return reply.statusCode as number;
    }
    const session = connectHttp2(`http://127.0.0.1:${this.#port}`);
    const stream = session.request({ ":method": "HEAD", ":path": path }).resume();
    const [head] = await once(stream, "response");
    session.close();
    return head[":status"] as number;
  }

  /** Asks, and returns how to go before the answer. */
  leave(path: string): () => void {
    if (this.#http === "HTTP/1.1") {
      const asking = request1({ host: "127.0.0.1", port: this.#port, path, agent: false }).end();
      asking.on("error", () => undefined);
      return () => void asking.destroy();
    }
    const session = connectHttp2(`http://127.0.0.1:${this.#port}`);
    session.request({ ":path": path }).on("error", () => undefined);
    return () => session.destroy();
  }

  get #port(): number {
    const address = this.#server?.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.close();
    await this.#close();
  }
}

function plain(_key: string, value: unknown): unknown {
  return value instanceof Error ? value.message : value;
}
