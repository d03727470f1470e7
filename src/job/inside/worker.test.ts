import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { workerCommand } from "../worker-source.ts";
import { encodeMessage, type FromWorker, MessageReader, type TaskWish, type ToWorker } from "./messages.ts";

/** With the Node of this machine in the place of the one in a sandbox. */
describe("the worker", { skip: process.platform !== "linux", timeout: 60_000 }, () => {
  test("runs a task, and sends what it printed and what it left", async () => {
    await using here = await Here.open();
    const content = "some input";
    here.task({
      id: 1,
      argv: [
        "sh",
        "-c",
        'cat "$1" > "$2"; echo out; echo err >&2',
        "-",
        `${here.root}/tasks/1/in/i`,
        `${here.root}/tasks/1/out/o`,
      ],
      inputs: [{ sha256: hash(content), name: "i" }],
      outs: ["o"],
    });
    assert.deepEqual(await here.heard("need"), { did: "need", id: 1, sha256: hash(content) });
    here.ship(content);
    const { end } = await here.heard("ended");
    assert.deepEqual(end, { kind: "exited", code: 0 });
    assert.equal(here.file, content);
    assert.deepEqual(here.text, { stdout: "out\n", stderr: "err\n" });
    assert.deepEqual(await readdir(join(here.root, "tasks")), []);
  });

  test("asks for an input once, keeps it for a worker that follows, and lets a task do with its copy what it likes", async () => {
    await using here = await Here.open();
    const inputs = [{ sha256: hash("x"), name: "i" }];
    for (const id of [1, 2])
      here.task({
        id,
        argv: ["sh", "-c", `cat ${here.root}/tasks/${id}/in/i; echo y > ${here.root}/tasks/${id}/in/i`],
        inputs,
        outs: [],
      });
    await here.heard("need");
    here.ship("x");
    await here.ended(2);
    await here.restart();
    here.task({ id: 3, argv: ["cat", `${here.root}/tasks/3/in/i`], inputs, outs: [] });
    await here.ended(1);
    assert.equal(here.text.stdout, "xxx");
    assert.equal(here.messages.filter(({ did }) => did === "need").length, 1);
  });

  test("makes room for new inputs, the longest unused first", async () => {
    await using here = await Here.open({ keepBytes: 2 });
    for (const [at, content] of ["a", "b", "c", "a"].entries()) {
      here.task({ id: at, argv: ["true"], inputs: [{ sha256: hash(content), name: "i" }], outs: [] });
      await here.heard("need", at + 1);
      here.ship(content);
      await here.ended(at + 1);
    }
    assert.equal((await readdir(join(here.root, "inputs"))).length, 2);
  });

  test("asks another who waits for the same when the first gives it up", async () => {
    await using here = await Here.open({ slots: 2 });
    const inputs = [{ sha256: hash("x"), name: "i" }];
    for (const id of [1, 2]) here.task({ id, argv: ["true"], inputs, outs: [] });
    await here.heard("need");
    here.say({ do: "cancel", id: 1 });
    here.say({ do: "put-drop", sha256: hash("x") });
    assert.deepEqual(await here.heard("need", 2), { did: "need", id: 2, sha256: hash("x") });
    here.ship("x");
    await here.ended(2);
    assert.deepEqual(here.ends, { 1: "cancelled", 2: "exited" });
  });

  test("refuses content that is not what its hash says", async () => {
    await using here = await Here.open();
    here.task({ id: 1, argv: ["true"], inputs: [{ sha256: hash("x"), name: "i" }], outs: [] });
    await here.heard("need");
    here.say({ do: "put", sha256: hash("x") }, Buffer.from("y"));
    here.say({ do: "put-end", sha256: hash("x") });
    const { end } = await here.heard("ended");
    assert.match(JSON.stringify(end), /did not arrive as it was sent/);
  });

  test("says what went wrong: no program, no folder, an exit code, a signal, no output, a folder or a pipe as output, too late", async () => {
    await using here = await Here.open();
    const wishes: readonly Partial<TaskWish>[] = [
      { argv: ["no-such-program"] },
      { argv: ["true"], cwd: "/no/such/folder" },
      { argv: ["sh", "-c", "exit 7"] },
      { argv: ["sh", "-c", "kill -KILL $$"] },
      { argv: ["true"], outs: ["o"] },
      { argv: ["mkdir", `${here.root}/tasks/6/out/o`], outs: ["o"] },
      { argv: ["mkfifo", `${here.root}/tasks/7/out/o`], outs: ["o"] },
      { argv: ["sleep", "60"], timeoutMs: 50 },
    ];
    for (const [at, wish] of wishes.entries()) here.task({ id: at + 1, argv: [], inputs: [], outs: [], ...wish });
    await here.ended(wishes.length);
    const said = (id: number) =>
      JSON.stringify(here.messages.find((message) => message.did === "ended" && message.id === id));
    for (const [at, expected] of [
      /no such program/,
      /no such folder/,
      /"code":7/,
      /SIGKILL/,
      /o is missing/,
      /is no file/,
      /is no file/,
      /late/,
    ].entries())
      assert.match(said(at + 1), expected);
  });

  test("ends a task that is called off, with what it started, and what one left behind", async () => {
    await using here = await Here.open({ slots: 2 });
    here.task({ id: 1, argv: ["sh", "-c", "sleep 61 & echo $!; wait"], inputs: [], outs: [] });
    here.task({ id: 2, argv: ["sh", "-c", "sleep 62 & echo $!"], inputs: [], outs: [] });
    here.task({ id: 3, argv: ["sleep", "60"], inputs: [], outs: [] });
    here.task({ id: 4, argv: ["true"], inputs: [], outs: [] });
    await here.ended(1);
    here.say({ do: "cancel", id: 4 });
    await here.ended(2);
    for (const id of [1, 3]) here.say({ do: "cancel", id });
    await here.ended(4);
    assert.deepEqual(here.ends, { 1: "cancelled", 2: "exited", 3: "cancelled", 4: "cancelled" });
    for (const pid of here.text.stdout.trim().split("\n")) assert.equal(existsSync(`/proc/${pid}/cwd`), false, pid);
  });

  test("ends with its input, and takes its tasks with it; told that all is done, it leaves nothing", async () => {
    await using here = await Here.open();
    here.task({ id: 1, argv: ["sh", "-c", "echo $$; exec sleep 60"], inputs: [], outs: [] });
    await here.until(() => here.text.stdout !== "");
    await here.restart();
    assert.equal(existsSync(`/proc/${here.text.stdout.trim()}/cwd`), false);
    here.say({ do: "clear" });
    await here.gone;
    assert.equal(existsSync(here.root), false);
  });
});

class Here implements AsyncDisposable {
  readonly #folder: string;
  readonly #choices: { readonly slots: number; readonly keepBytes: number };
  #child: ChildProcess | undefined;
  messages: FromWorker[] = [];
  text = { stdout: "", stderr: "" };
  file = "";
  root = "";
  gone: Promise<unknown> = Promise.resolve();

  static async open(choices: { readonly slots?: number; readonly keepBytes?: number } = {}): Promise<Here> {
    const here = new Here(await mkdtemp(join(tmpdir(), "p2prc-worker-")), { slots: 1, keepBytes: 2 ** 20, ...choices });
    await here.#start();
    return here;
  }

  private constructor(folder: string, choices: { readonly slots: number; readonly keepBytes: number }) {
    this.#folder = folder;
    this.#choices = choices;
  }

  get ends(): Readonly<Record<number, string>> {
    return Object.fromEntries(
      this.messages.flatMap((message) => (message.did === "ended" ? [[message.id, message.end.kind]] : [])),
    );
  }

  say(message: ToWorker, payload?: Buffer): void {
    this.#child?.stdin?.write(encodeMessage(message, payload));
  }

  task(wish: TaskWish): void {
    this.say({ do: "task", ...wish });
  }

  ship(content: string): void {
    this.say({ do: "put", sha256: hash(content) }, Buffer.from(content));
    this.say({ do: "put-end", sha256: hash(content) });
  }

  /** The n-th message of a kind. */
  async heard<D extends FromWorker["did"]>(did: D, n = 1): Promise<Extract<FromWorker, { did: D }>> {
    const found = () => this.messages.filter((message) => message.did === did)[n - 1];
    await this.until(() => found() !== undefined);
    return found() as Extract<FromWorker, { did: D }>;
  }

  async ended(count: number): Promise<void> {
    await this.heard("ended", count);
  }

  async until(isTrue: () => boolean): Promise<void> {
    while (!isTrue())
      await Promise.race([once(this.#child?.stdout ?? process, "data"), this.gone.then(() => assert.fail("it ended"))]);
  }

  async restart(): Promise<void> {
    this.#child?.stdin?.end();
    await this.gone;
    this.messages = this.messages.filter(({ did }) => did === "need");
    await this.#start();
  }

  async #start(): Promise<void> {
    const words = await workerCommand();
    const env = { ...process.env, HOME: this.#folder };
    const child = spawn(process.execPath, words.slice(words.indexOf("--input-type=module")), {
      env,
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child = child;
    this.gone = once(child, "exit");
    const reader = new MessageReader();
    child.stdout.on("data", (bytes: Buffer) => {
      for (const { header, payload } of reader.take(bytes)) this.#hear(header as FromWorker, payload);
    });
    this.say({ do: "open", job: "7f3a", ...this.#choices });
    this.root = (await this.heard("ready")).root;
  }

  #hear(message: FromWorker, payload: Buffer): void {
    if (message.did === "text") this.text[message.from] += payload.toString();
    if (message.did === "file") this.file += payload.toString();
    this.messages.push(message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child?.stdin?.end();
    await this.gone;
    await rm(this.#folder, { recursive: true, force: true });
  }
}

function hash(content: string): string {
  return createHash("sha256").update(content).digest("hex");
}
