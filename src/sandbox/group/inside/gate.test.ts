import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { insideProgram } from "../../../core/index.ts";
import { after } from "./clock.ts";
import {
  decodeTarget,
  encodePiece,
  encodeRoom,
  encodeTarget,
  FROM_OUTSIDE,
  type Piece,
  PieceReader,
  type Plan,
  type Report,
  WINDOW_BYTES,
} from "./strands.ts";

/** Its own process, with the Node of this machine in the place of the one in a sandbox, and no network but this machine's loopback. */
describe("the gate", { skip: process.platform !== "linux", timeout: 60_000 }, () => {
  test("opens a strand for who connects to a neighbour, and sends no more than there is room for", async () => {
    await using here = await Here.open();
    const { port } = await here.plan();
    const socket = connect(port, NEIGHBOUR);
    socket.write(Buffer.alloc(2 * WINDOW_BYTES));
    await here.until(() => here.bytesOn(1) === WINDOW_BYTES);
    await here.soon();
    assert.equal(here.bytesOn(1), WINDOW_BYTES);
    assert.deepEqual(decodeTarget(here.pieces[1]?.content ?? Buffer.alloc(0)), { place: 2, port });
    here.say("room", 1, encodeRoom(1_000));
    await here.until(() => here.bytesOn(1) === WINDOW_BYTES + 1_000);
    here.say("data", 1, Buffer.from("hello"));
    const [said] = (await once(socket, "data")) as [Buffer];
    assert.equal(String(said), "hello");
    here.say("broken", 1);
    await assert.rejects(once(socket, "end"), { code: "ECONNRESET" });
  });

  test("listens at 127.0.0.1 for what a neighbour alone has", async () => {
    await using here = await Here.open();
    const port = await freePort("127.0.0.1");
    await here.plan({ neighbours: [{ place: 2, address: NEIGHBOUR, name: "box2", ports: [port], alone: [port] }] });
    for (const [strand, host] of [
      [1, "127.0.0.1"],
      [2, NEIGHBOUR],
    ] as const) {
      connect(port, host).on("error", () => undefined); // the gate ends first
      await here.until(() => here.kindsOn(strand) === "open");
    }
  });

  test("passes on the end of either way by itself", async () => {
    await using here = await Here.open();
    const { port } = await here.plan();
    const socket = connect({ port, host: NEIGHBOUR, allowHalfOpen: true });
    socket.end("x");
    await here.until(() => here.kindsOn(1).endsWith("data end"));
    here.say("data", 1, Buffer.from("y"));
    here.say("end", 1);
    assert.equal(String(await readAll(socket)), "y");
    await here.soon();
    assert.equal(here.kindsOn(1), "open data end");
  });

  test("dials what is its own at its own address, and else at 127.0.0.1", async () => {
    await using here = await Here.open();
    const { port: nobodys } = await here.plan();
    for (const [strand, host] of [
      [FROM_OUTSIDE + 1, OWN],
      [FROM_OUTSIDE + 2, "127.0.0.1"],
    ] as const) {
      const { port } = await here.listen(host);
      here.say("open", strand, encodeTarget({ place: 1, port }));
      here.say("data", strand, Buffer.from("to the server"));
      here.say("end", strand);
      await here.until(() => here.kindsOn(strand) === "data end");
      assert.equal(here.bytesOn(strand), "to the server".length);
    }
    here.say("open", FROM_OUTSIDE + 3, encodeTarget({ place: 1, port: nobodys }));
    await here.until(() => here.kindsOn(FROM_OUTSIDE + 3) === "broken");
  });

  test("waits for a server that is being started, unless who connects has left", async () => {
    await using here = await Here.open();
    const { port } = await here.plan();
    for (const strand of [FROM_OUTSIDE + 1, FROM_OUTSIDE + 2])
      here.say("open", strand, encodeTarget({ place: 1, port }));
    here.say("data", FROM_OUTSIDE + 1, "early");
    here.say("broken", FROM_OUTSIDE + 2);
    await here.soon();
    const { connections } = await here.listen(OWN, port);
    await here.until(() => here.bytesOn(FROM_OUTSIDE + 1) === 5);
    assert.equal(connections(), 1);
  });

  test("tells of a port that something else has, and takes it when it is free", async () => {
    await using here = await Here.open();
    const { server, port } = await here.listen(NEIGHBOUR);
    await here.plan({ port });
    assert.deepEqual(here.report?.taken, [{ place: 2, port, why: "EADDRINUSE" }]);
    server.close();
    await here.until(() => here.report?.takenCount === 0);
  });

  test("writes names while it has neighbours, and says where it cannot", async () => {
    await using here = await Here.open();
    await writeFile(here.hosts, "127.0.0.1 localhost\n");
    await here.plan();
    assert.equal(here.report?.names, true);
    assert.match(await readFile(here.hosts, "utf8"), /^127\.77\.200\.2\tbox2$/m);
    await here.plan({ neighbours: [] });
    assert.equal(await readFile(here.hosts, "utf8"), "127.0.0.1 localhost\n");
    await rm(here.hosts);
    await here.plan();
    assert.equal(here.report?.names, false);
  });

  test("lets nobody in without its word, and ends with who had it", async () => {
    await using here = await Here.open();
    await using wrong = await Here.open({ word: "not the word".padEnd(WORD.length, ".") });
    await once(wrong.way, "close");
    assert.equal(wrong.gate.exitCode, null);
    here.way.destroy();
    if (here.gate.exitCode === null) await once(here.gate, "exit");
  });
});

const WORD = "a word that is as long as another";
const OWN = "127.77.200.1";
const NEIGHBOUR = "127.77.200.2";

class Here implements AsyncDisposable {
  readonly pieces: Piece[] = [];
  readonly #folder: string;
  readonly gate: ChildProcess;
  readonly way: Socket;
  readonly #servers: Server[] = [];
  #plans = 0;

  static async open({ word = WORD } = {}): Promise<Here> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-gate-"));
    const argv = await insideProgram(new URL("./gate", import.meta.url));
    const [, , , , ...words] = argv; // the loader and the Node of a sandbox
    const gate = spawn(process.execPath, words, {
      env: { ...process.env, P2PRC_HOSTS: join(folder, "hosts") },
      stdio: ["pipe", "pipe", "inherit"],
    });
    gate.stdin?.write(`${WORD}\n`);
    const [said] = (await once(gate.stdout ?? gate, "data")) as [Buffer];
    const way = connect(Number(said), "127.0.0.1");
    way.write(word);
    return new Here(folder, gate, way);
  }

  private constructor(folder: string, gate: ChildProcess, way: Socket) {
    this.#folder = folder;
    this.gate = gate;
    this.way = way;
    const reader = new PieceReader();
    way.on("data", (bytes: Buffer) => {
      for (const { content, ...piece } of reader.take(bytes))
        this.pieces.push({ ...piece, content: Buffer.from(content) });
    });
  }

  get hosts(): string {
    return join(this.#folder, "hosts");
  }

  /** As it was said last. */
  get report(): Report | undefined {
    const last = this.pieces.findLast(({ kind }) => kind === "report");
    return last === undefined ? undefined : (JSON.parse(String(last.content)) as Report);
  }

  say(kind: Piece["kind"], strand: number, content: Uint8Array | string = ""): void {
    this.way.write(encodePiece(kind, strand, content));
  }

  /** One neighbour with one port, unless said otherwise. Resolves when it is followed. */
  async plan(choices: { readonly port?: number; readonly neighbours?: Plan["neighbours"] } = {}) {
    const port = choices.port ?? (await freePort(NEIGHBOUR));
    const neighbours = choices.neighbours ?? [{ place: 2, address: NEIGHBOUR, name: "box2", ports: [port], alone: [] }];
    const number = ++this.#plans;
    this.pieces.length = 0;
    this.say("plan", 0, JSON.stringify({ number, mark: "grp", own: { address: OWN, name: "box1" }, neighbours }));
    await this.until(() => this.report?.plan === number);
    this.pieces.splice(0, this.pieces.length - 1);
    return { port };
  }

  /** A server that echoes. */
  async listen(host: string, wanted = 0) {
    let count = 0;
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      count++;
      socket.pipe(socket);
    });
    this.#servers.push(server);
    server.listen(wanted, host);
    await once(server, "listening");
    return { server, port: (server.address() as { port: number }).port, connections: () => count };
  }

  bytesOn(strand: number): number {
    return this.pieces
      .filter((piece) => piece.strand === strand && piece.kind === "data")
      .reduce((sum, { content }) => sum + content.length, 0);
  }

  /** Without repetitions, and without who gives room. */
  kindsOn(strand: number): string {
    const kinds = this.pieces.filter((piece) => piece.strand === strand && piece.kind !== "room");
    return kinds
      .map(({ kind }) => kind)
      .filter((kind, at, all) => kind !== all[at - 1])
      .join(" ");
  }

  async until(isSo: () => boolean): Promise<void> {
    for (let tries = 0; tries < 2_000 && !isSo(); tries++) await new Promise<void>((resolve) => void after(5, resolve));
    assert.ok(isSo(), JSON.stringify(this.pieces.map(({ kind, strand }) => `${kind} ${strand}`)));
  }

  /** What would come has come by then. */
  async soon(): Promise<void> {
    await new Promise<void>((resolve) => void after(50, resolve));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.way.destroy();
    for (const server of this.#servers) server.close();
    if (this.gate.exitCode === null && this.gate.signalCode === null) {
      this.gate.kill("SIGKILL");
      await once(this.gate, "exit");
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

async function freePort(host: string): Promise<number> {
  const server = createServer().listen(0, host);
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
