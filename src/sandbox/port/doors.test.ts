import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Duplex, duplexPair } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { silentLog } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { Doors, SSH } from "./doors.ts";

const box = "aaaaaaaaaaaaaaaa" as SandboxId;
const other = "bbbbbbbbbbbbbbbb" as SandboxId;
const { signal } = new AbortController();

describe("Doors", () => {
  test("carry bytes both ways, and each end by itself", async () => {
    await using lab = await Lab.open();
    const { local } = await lab.doors.open(box, { internal: 8_080 }, signal);
    const client = connect({ port: local ?? 0, host: "127.0.0.1", allowHalfOpen: true });
    client.end("hello");
    assert.equal(await text(client), "8080: hello");
  });

  test("take the number inside where it is free, and any other where it is not", async () => {
    await using lab = await Lab.open();
    await using taken = await Taken.open();
    const row = await lab.doors.open(box, { internal: taken.port }, signal);
    assert.notEqual(row.local, taken.port);
    const free = taken.port;
    await taken[Symbol.asyncDispose]();
    assert.equal((await lab.doors.open(other, { internal: free }, signal)).local, free);
  });

  test("refuse a number that was named and is taken, and say so", async () => {
    await using lab = await Lab.open();
    await using taken = await Taken.open();
    await assert.rejects(lab.doors.open(box, { internal: 80, local: taken.port }, signal), { code: "port-in-use" });
    assert.deepEqual(lab.doors.of(box), []);
  });

  test("are opened once for two that ask at the same time", async () => {
    await using lab = await Lab.open();
    const [one, two] = await Promise.all([
      lab.doors.open(box, { internal: SSH }, signal),
      lab.doors.open(box, { internal: SSH }, signal),
    ]);
    assert.deepEqual(one, two);
    assert.equal(lab.doors.of(box).length, 1);
  });

  test("keep their numbers when the daemon starts again", async () => {
    await using lab = await Lab.open();
    const before = await lab.doors.open(box, { internal: SSH }, signal);
    await lab.restart();
    assert.deepEqual(lab.doors.of(box), []);
    assert.deepEqual(await lab.doors.reopen(box, signal), [before]);
  });

  test("are gone with the sandbox, and their connections with them", async () => {
    await using lab = await Lab.open();
    const { local } = await lab.doors.open(box, { internal: 9_000 }, signal);
    const client = connect(local ?? 0, "127.0.0.1");
    await once(client, "connect");
    client.write("x");
    await once(client, "data");
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    client.on("error", () => {}).once("close", () => resolve());
    await lab.doors.closeAll(box);
    await closed;
    assert.deepEqual([...lab.doors.boxes], []);
    await assert.rejects(once(connect(local ?? 0, "127.0.0.1"), "connect"), { code: "ECONNREFUSED" });
  });

  test("reset a client when nothing can be had behind them, and serve the next one", async () => {
    await using lab = await Lab.open();
    const { local } = await lab.doors.open(box, { internal: 9_001 }, signal);
    lab.refusal = new Failure("unreachable", "the node does not answer");
    const client = connect(local ?? 0, "127.0.0.1");
    await assert.rejects(once(client, "data"), { code: "ECONNRESET" });
    lab.refusal = undefined;
    const next = connect({ port: local ?? 0, host: "127.0.0.1", allowHalfOpen: true });
    next.end("again");
    assert.equal(await text(next), "9001: again");
  });

  test("give up what is asked for a client that broke off", async () => {
    await using lab = await Lab.open();
    const { local } = await lab.doors.open(box, { internal: 9_002 }, signal);
    lab.silent = true;
    const client = connect(local ?? 0, "127.0.0.1");
    const asked = await lab.asked.promise;
    client.resetAndDestroy();
    if (!asked.aborted) await once(asked, "abort");
  });

  test("are sockets for oneself alone where a path is given", async () => {
    await using lab = await Lab.open();
    const path = join(lab.folder, "web.sock");
    const row = await lab.doors.open(box, { internal: 80, path }, signal);
    assert.deepEqual([row.local, row.path], [undefined, path]);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
    const client = connect({ path, allowHalfOpen: true });
    client.end("hello");
    assert.equal(await text(client), "80: hello");
    await assert.rejects(lab.doors.open(other, { internal: 80, path: join(lab.folder, "no", "x.sock") }, signal), {
      code: "bad-argument",
    });
  });

  test("are as many as 2,000", async () => {
    await using lab = await Lab.open();
    const insert = lab.database.prepare("INSERT INTO port_doors (box, internal) VALUES (?, ?)");
    for (let internal = 1; internal <= 2_000; internal++) insert.run(other, internal);
    await lab.restart();
    await assert.rejects(lab.doors.open(box, { internal: 80 }, signal), { code: "too-large" });
  });
});

/** Behind each door somebody who says the number and repeats what is sent. */
class Lab implements AsyncDisposable {
  readonly folder: string;
  readonly database = new DatabaseSync(":memory:");
  readonly asked = Promise.withResolvers<AbortSignal>();
  refusal: Failure | undefined;
  silent = false;
  doors: Doors;

  static async open(): Promise<Lab> {
    return new Lab(await mkdtemp(join(tmpdir(), "p2prc-doors-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.doors = this.#make();
  }

  async restart(): Promise<void> {
    await this.doors[Symbol.asyncDispose]();
    this.doors = this.#make();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.doors[Symbol.asyncDispose]();
    this.database.close();
    await rm(this.folder, { recursive: true, force: true });
  }

  #make(): Doors {
    return new Doors({
      database: this.database,
      log: silentLog,
      connect: (_, internal, within) => this.#connect(internal, within),
    });
  }

  async #connect(internal: number, within: AbortSignal): Promise<Duplex> {
    this.asked.resolve(within);
    if (this.refusal !== undefined) throw this.refusal;
    if (this.silent) {
      await once(within, "abort");
      throw within.reason;
    }
    const [near, far] = duplexPair();
    far.write(`${internal}: `);
    far.pipe(far);
    far.on("error", () => {});
    return near;
  }
}

class Taken implements AsyncDisposable {
  readonly port: number;
  readonly #server: ReturnType<typeof createServer>;

  static async open(): Promise<Taken> {
    const server = createServer((socket: Socket) => socket.destroy());
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    return new Taken(server, typeof address === "object" && address !== null ? address.port : 0);
  }

  private constructor(server: ReturnType<typeof createServer>, port: number) {
    this.#server = server;
    this.port = port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}
