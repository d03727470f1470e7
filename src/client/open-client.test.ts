import assert from "node:assert/strict";
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer, type Server, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { connect, openClient, openDaemon, stopDaemon } from "./open-client.ts";

const { signal } = new AbortController();
const fakeDaemon = {
  command: process.execPath,
  args: [new URL("../../test/support/fake-daemon.ts", import.meta.url).pathname],
};

describe("a client", () => {
  test("asks the daemon of its home", async () => {
    await using home = await Home.make();
    await home.answer({ "/v1/status": (reply) => void reply.end('{"name":"attic"}') });
    await using client = await openClient({ home: home.path, start: false }, signal);
    assert.equal((await client.status(signal)).name, "attic");
  });

  test("says that no daemon runs: no home, no socket, a socket nobody holds", async () => {
    await using home = await Home.make();
    assert.equal(await connect({ home: join(home.path, "none") }, signal), undefined);
    assert.equal(await connect({ home: home.path }, signal), undefined);
    await home.answer({});
    await home.kill();
    assert.equal(await connect({ home: home.path }, signal), undefined);
    await assert.rejects(openClient({ home: home.path, start: false }, signal), { code: "daemon-not-running" });
  });

  test("finds the daemon of a home whose path is too long for a socket", async () => {
    await using home = await Home.make();
    const long = join(home.path, "long".repeat(40));
    await mkdir(long);
    await home.answer({ "/v1/status": (reply) => void reply.end('{"name":"attic"}') });
    await symlink(join(home.path, "socket"), join(long, "socket"));
    const found = await connect({ home: long }, signal);
    assert.equal(found?.status.name, "attic");
    await found?.client[Symbol.asyncDispose]();
    await chmod(home.path, 0o755); // could be anybody's now
    assert.equal(await connect({ home: long }, signal), undefined);
  });

  test("ends a question when its signal aborts, with the signal's reason", async () => {
    await using home = await Home.make();
    const stop = new AbortController();
    await home.answer({
      "/v1/status": (reply) => void reply.end("{}"),
      "/v1/nodes": () => stop.abort(new Error("enough")),
    });
    await using client = await openClient({ home: home.path, start: false }, signal);
    await assert.rejects(client.nodes({ all: false }, stop.signal), { message: "enough" });
    await assert.rejects(client.nodes({ all: false }, stop.signal), { message: "enough" });
  });

  test("says so when the daemon breaks off in the middle", async () => {
    await using home = await Home.make();
    await home.answer({
      "/v1/status": (reply) => void reply.end("{}"),
      "/v1/nodes": (reply) => void reply.destroy(),
      "/v1/nodes/update": (reply) => {
        reply.write('{"progress":{}}\n');
        setImmediate(() => reply.destroy());
      },
    });
    await using client = await openClient({ home: home.path, start: false }, signal);
    await assert.rejects(client.nodes({ all: false }, signal), { code: "daemon-failed" });
    await assert.rejects(Array.fromAsync(client.update({}, signal)), { code: "daemon-failed" });
  });
});

describe("starting the daemon", () => {
  test("waits until it answers", async () => {
    await using home = await Home.make();
    const opened = await openDaemon({ home: home.path, program: fakeDaemon, flags: ["--name", "attic"] }, signal);
    await using client = opened.client;
    assert.deepEqual([opened.started, opened.status.name], [true, "attic"]);
    assert.equal((await openDaemon({ home: home.path, program: fakeDaemon }, signal)).started, false);
    await client.stop(signal);
  });

  test("is told of where one is started, and not where one runs", async () => {
    await using home = await Home.make();
    const told: string[] = [];
    const open = (who: string) =>
      openDaemon({ home: home.path, program: fakeDaemon, onStart: () => told.push(who) }, signal);
    await using _first = (await open("first")).client;
    await using _second = (await open("second")).client;
    assert.deepEqual(told, ["first"]);
    const stopped = await stopDaemon({ home: home.path }, signal);
    assert.throws(() => process.kill(stopped?.pid ?? 0, 0), { code: "ESRCH" });
    await assert.rejects(openDaemon({ home: home.path, start: false, onStart: () => told.push("never") }, signal));
    assert.deepEqual(told, ["first"]);
  });

  test("ends with one daemon when two start it at once", async () => {
    await using home = await Home.make();
    const options = { home: home.path, program: fakeDaemon };
    const opened = await Promise.all([1, 2, 3].map(() => openDaemon(options, signal)));
    assert.equal(new Set(opened.map(({ status }) => status.pid)).size, 1);
    for (const { client } of opened) await client[Symbol.asyncDispose]();
    await stopDaemon(options, signal);
    assert.equal(await connect(options, signal), undefined);
  });

  test("tells what the daemon says when it cannot start", async () => {
    await using home = await Home.make();
    const flags = ["--fail", "port-in-use"];
    await assert.rejects(openDaemon({ home: home.path, program: fakeDaemon, flags }, signal), {
      code: "port-in-use",
      message: "port 8088 is taken",
      hint: "choose another one",
    });
  });

  test("says where to look when the daemon dies of a defect", async () => {
    await using home = await Home.make();
    const flags = ["--fail", "defect"];
    await assert.rejects(
      openDaemon({ home: home.path, program: fakeDaemon, flags }, signal),
      (error: Error & { hint: string }) => {
        assert.match(error.message, /exit code 1/);
        assert.match(error.hint, /daemon\.stderr/);
        return true;
      },
    );
    assert.match(await readFile(join(home.path, "daemon.stderr"), "utf8"), /a defect of the fake/);
  });

  test("knows a way on when the daemon could not even say why it ended", async () => {
    await using home = await Home.make();
    const program = { command: process.execPath, args: ["--eval", "process.exit(5)", "--"] };
    await assert.rejects(openDaemon({ home: home.path, program }, signal), { hint: /disk full.*p2prc serve/ });
  });

  test("says so when there is no such program", async () => {
    await using home = await Home.make();
    const program = { command: "/nonexistent/node", args: [] };
    await assert.rejects(openDaemon({ home: home.path, program }, signal), { code: "daemon-failed" });
  });

  test("cannot use a home that is a file", async () => {
    await using home = await Home.make();
    await writeFile(join(home.path, "file"), "");
    await assert.rejects(openDaemon({ home: join(home.path, "file"), program: fakeDaemon }, signal), {
      code: "home-unusable",
    });
  });

  test("is content to stop what does not run", async () => {
    await using home = await Home.make();
    assert.equal(await stopDaemon({ home: home.path }, signal), undefined);
  });
});

type Answers = Readonly<Record<string, (reply: ServerResponse) => void>>;

/** A folder with what a daemon's socket would answer. */
class Home implements AsyncDisposable {
  readonly path: string;
  #server: Server | undefined;

  static async make(): Promise<Home> {
    return new Home(await mkdtemp(join(tmpdir(), "p2prc-client-")));
  }

  private constructor(path: string) {
    this.path = path;
  }

  async answer(answers: Answers): Promise<void> {
    const server = createServer((request, reply) => answers[request.url ?? ""]?.(reply));
    await new Promise<void>((resolve) => server.listen(join(this.path, "socket"), resolve));
    this.#server = server;
  }

  /** The socket's file stays, as after kill -9. */
  async kill(): Promise<void> {
    const socket = join(this.path, "socket");
    const server = this.#server;
    if (server === undefined) return;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const orphan = createServer();
    await new Promise<void>((resolve) => orphan.listen(`${socket}.old`, resolve));
    await symlink(`${socket}.old`, socket);
    orphan.close();
    this.#server = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server?.closeAllConnections();
    this.#server?.close();
    await rm(this.path, { recursive: true, force: true, maxRetries: 5 });
  }
}
