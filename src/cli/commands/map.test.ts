import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { duplexPair, type Duplex, Readable, Writable } from "node:stream";
import { after, afterEach, before, describe, test } from "node:test";
import { type Answer, CliLab, type LabOptions } from "../../../test/support/cli-lab.ts";
import { type Does, FakeBox } from "../../../test/support/fake-worker.ts";
import { box } from "../../../test/support/inside-lab.ts";
import { Failure } from "../../core/light.ts";
import { encodeFrame, FrameReader } from "../../sandbox/light.ts";

describe("p2prc map", () => {
  let folder = "";
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "p2prc-map-"));
  });
  afterEach(async () => await rm(join(folder, "home"), { recursive: true, force: true }));
  after(async () => await rm(folder, { recursive: true, force: true }));

  test("runs words in the sandboxes that are named, by name and by group, and sums up", async () => {
    const world = new World(folder, async () => ({ stdout: "hello\n" }));
    const { exit, out, err } = await world.map("--on", "farm,box1", "--args", "{1..6}", "--", "echo", "{in}", "{n}");
    assert.equal(exit, 0, err.join("\n"));
    assert.deepEqual([...world.box("box1").ran, ...world.box("box2").ran].sort(), [
      "echo 1 1",
      "echo 2 2",
      "echo 3 3",
      "echo 4 4",
      "echo 5 5",
      "echo 6 6",
    ]);
    assert.match(err.join("\n"), /^job [0-9a-f]{4}: 6 tasks, 2 sandboxes$/m);
    assert.match(out.join("\n"), /^SANDBOX +NODE +TASKS/);
    assert.match(out.join("\n"), /^box2 +attic +\d/m);
    assert.match(out.join("\n"), /^6 of 6 done in /m);
    const [job = ""] = await readdir(join(folder, "home/jobs"));
    assert.equal(await readFile(join(folder, "home/jobs", job, "text/0/6.out"), "utf8"), "hello\n");
  });

  test("takes a list of inputs from stdin and from a file", async () => {
    const list = join(folder, "list");
    await writeFile(list, "c d\n$x\r\n");
    const world = new World(folder, async () => ({}), "a\n\nb\n");
    await world.map("--on", "box1", "--args", "-", "--", "echo", "{in}");
    await world.map("--on", "box1", "--args", "--inputs-from", list, "--", "echo", "{in}");
    assert.deepEqual(world.box("box1").ran, ["echo a", "echo b", "echo c d", "echo $x"]);
    const missing = await world.map("--on", "box1", "--args", "--inputs-from", join(folder, "none"), "--", "echo");
    assert.deepEqual(missing.exit, 3);
    assert.match(missing.err.join("\n"), /cannot read the list .*ENOENT/);
  });

  test("takes a list with NUL in it, and any name, as it stands", async () => {
    const names = ["-n", "a b\n'\"", "\u2028ü\r", "{1..2}*", "last"];
    const world = new World(folder, async () => ({}), names.join("\0"));
    const { exit, err } = await world.map("--on", "box1", "--args", "-0", "-", "--", "echo", "{in}");
    assert.equal(exit, 0, err.join("\n"));
    assert.deepEqual(
      world.box("box1").ran,
      names.map((name) => `echo ${name}`),
    );
    const lines = new World(folder, async () => ({}), "a\u2028b\rc\r\nd");
    await lines.map("--on", "box1", "--args", "-", "--", "echo", "{in}");
    assert.deepEqual(lines.box("box1").ran, ["echo a\u2028b\rc", "echo d"]);
  });

  test("refuses a list that is none, that has no end, or that is not named", async () => {
    const world = new World(folder, async () => ({}), "x".repeat(3 * 2 ** 20));
    const says = async (words: readonly string[], message: RegExp) =>
      assert.match((await world.map("--on", "box1", "--args", ...words, "--", "echo")).err.join("\n"), message);
    await says(["-0", "x"], /--null is about a list of inputs/);
    await says(["--inputs-from", folder], /cannot read the list .* \(EISDIR\)/);
    await says(["-"], /a line of the list "stdin" has no end/);
  });

  test("tells of failed tasks, with the end of their stderr, and how to go on; going on does what is missing", async () => {
    const world = new World(folder, async ({ argv }) =>
      argv[1] === "2" ? { end: { kind: "exited", code: 7 }, stderr: "oh\nno\n" } : {},
    );
    const { exit, err } = await world.map("--on", "box1", "--args", "--retries", "0", "{1..3}", "--", "do", "{in}");
    assert.equal(exit, 1);
    assert.match(err.join("\n"), /task 2 \(2\) failed on box1: exit code 7\n {2}oh\n {2}no/);
    const job = /--resume (\w+)/.exec(err.join("\n"))?.[1] ?? "";
    world.box("box1").does = async () => ({});
    const again = await world.map("--resume", job, "--json");
    assert.equal(again.exit, 0, again.err.join("\n"));
    const { done, boxes } = JSON.parse(again.out.join("")) as { done: number; boxes: { done: number }[] };
    assert.deepEqual([done, boxes[0]?.done], [3, 1]);
    assert.deepEqual(world.box("box1").ran.slice(-1), ["do 2"]);
    assert.match((await world.map("--resume", job)).out.join("\n"), /all 3 tasks of \w+ are done already/);
  });

  test("says how to go on where this machine, or the last sandbox, is what failed", async () => {
    const world = new World(folder, async () => ({ outs: ["x"] }));
    world.box("box1").refuses = new Failure("not-found", "no such sandbox");
    const { exit, err } = await world.map("--on", "box1", "--args", "x", "--", "do");
    assert.equal(exit, 4);
    assert.match(err.join("\n"), /no sandbox is left to work in/);
    assert.match(err.join("\n"), /hint: what was done is kept; go on with `p2prc map --resume \w{4}`/);
  });

  test("lists jobs and forgets them", async () => {
    const world = new World(folder, async () => ({}));
    await world.map("--on", "box1", "--args", "x", "--", "echo", "{in}");
    const { out } = await world.map("--list");
    const id = /^([0-9a-f]{4}) .* 1 +1 +0 +x -- echo \{in\}$/m.exec(out.join("\n"))?.[1] ?? "";
    assert.deepEqual((await world.map("--remove", id)).out, [`removed ${id}`]);
    assert.match((await world.map("--remove", id)).err.join("\n"), /no job/);
    assert.match((await world.map("--list")).err.join("\n"), /no job yet/);
  });

  test("waits for what runs after Ctrl-C, and stops at the second", async () => {
    const hangs: Does = async (_, signal) =>
      await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
    const world = new World(folder, hangs);
    const running = world.map("--on", "box1", "--args", "{1..3}", "--", "do", "{in}");
    await until(() => world.box("box1").ran.length > 0);
    world.lab.interrupt.abort(new DOMException("SIGINT", "AbortError"));
    await new Promise((resolve) => setTimeout(resolve, 50));
    world.lab.insist.abort(new DOMException("SIGINT", "AbortError"));
    const { exit, out, err } = await running;
    assert.equal(exit, 130);
    assert.match(err.join("\n"), /waiting for the tasks that run; Ctrl-C once more stops them/);
    assert.match(out.join("\n"), /0 of 3 done/);
    assert.match(err.join("\n"), /what is missing: p2prc map --resume/);
  });

  test("says what is wrong before it starts anything", async () => {
    const world = new World(folder, async () => ({}));
    const says = async (words: readonly string[], message: RegExp) =>
      assert.match((await world.map(...words)).err.join("\n"), message);
    await says(["--args", "x", "--", "echo"], /where are they to run\?[\s\S]*--on/);
    await says(["--on", "box1", "--count", "2", "--args", "x", "--", "echo"], /choose one/);
    await says(["--on", "box1", "no-such-file", "--", "cat", "{in}"], /no such file[\s\S]*--args/);
    await says(["--on", "box1", "--args", "x"], /there is no command/);
    await says(["--on", "box1", "--args", "--", "echo"], /no inputs/);
    await says(["--on", ",", "--args", "x", "--", "echo"], /--on names no sandbox/);
    await says(["--on", "nobody", "--args", "x", "--", "echo"], /no sandbox "nobody"/);
    await says(["--resume", "7f3a"], /no job "7f3a"/);
    await says(["--resume", "7f3a", "x"], /has its inputs and its command already/);
  });

  test("makes sandboxes of its own, and removes them whatever happens", async () => {
    const world = new World(folder, async () => ({ end: { kind: "exited", code: 1 } }));
    const { exit } = await world.map("--count", "1", "--args", "--retries", "0", "x", "--", "do", "{in}");
    assert.equal(exit, 1);
    const asked = world.lab.asked.map(({ route }) => route);
    assert.ok(asked.includes("POST /v1/boxes"));
    assert.ok(asked.includes("DELETE /v1/boxes/id-map1"));
    const body = world.lab.asked.find(({ route }) => route === "POST /v1/boxes")?.body;
    assert.equal((body as { near: boolean }).near, true);
  });

  test("gives up a sandbox that is frozen in the middle, and says why", async () => {
    const world = new World(folder, async () => ({}));
    const inside = world.box("box1");
    inside.does = async (_, signal) => {
      inside.freeze();
      inside.refuses = new Failure("busy", "the sandbox is frozen: disk quota");
      world.frozen = "disk quota";
      await world.lab.clock.sleep(3_600_000, signal);
      return {};
    };
    const { exit, err } = await world.map("--on", "box1", "--args", "1", "--", "do", "{in}");
    assert.equal(exit, 4, err.join("\n"));
    assert.match(err.join("\n"), /^box1: its worker ended: the sandbox is frozen: disk quota$/m);
    assert.match(err.join("\n"), /no sandbox is left to work in \(box1: the sandbox is frozen: disk quota\)/);
  });

  test("has its own sandboxes live for as long as it runs, and says once where a node does not let them", async () => {
    for (const refusal of [undefined, new Failure("not-allowed", "the grant ends in 5 min")]) {
      const world = new World(folder, async (_, signal) => {
        await world.lab.clock.sleep(3 * 3_600_000, signal);
        return {};
      });
      if (refusal !== undefined) world.extended = refusal;
      const running = world.lab.p2prc(...world.words("--count", "1", "--args", "x", "--", "do"));
      await world.until(() => world.box("map1").ran.length > 0, 100);
      let over = false;
      void running.finally(() => {
        over = true;
      });
      await world.until(() => over, 60_000);
      const { exit, err } = await running;
      assert.equal(exit, 0, err.join("\n"));
      const asked = world.lab.asked.filter(({ route }) => route === "POST /v1/boxes/id-map1/extend");
      assert.ok(asked.length >= 2 && asked.length <= 4, `${asked.length} times`);
      assert.deepEqual(asked[0]?.body, { lifetimeMs: 8 * 3_600_000 });
      const warnings = err.filter((line) => line === "map1 may end before the job does: the grant ends in 5 min");
      assert.equal(warnings.length, refusal === undefined ? 0 : 1);
    }
  });

  test("removes the sandboxes that a run left which was killed, also where nothing else is to be done", async () => {
    const world = new World(folder, async () => ({}));
    await world.map("--count", "1", "--args", "x", "--", "do", "{in}");
    const [job = ""] = await readdir(join(folder, "home/jobs"));
    const removals = () => world.lab.asked.filter(({ route }) => route === "DELETE /v1/boxes/id-map1").length;
    assert.equal(removals(), 1);
    await writeFile(join(folder, "home/jobs", job, "boxes"), "id-map1\n");
    for (const expected of [2, 2]) {
      assert.match((await world.map("--resume", job)).out.join("\n"), /all 1 tasks .* done already/);
      assert.equal(removals(), expected);
    }
    await rm(join(folder, "home/jobs", job, "journal"));
    await writeFile(join(folder, "home/jobs", job, "boxes"), "id-map1\n");
    assert.equal((await world.map("--resume", job, "--on", "box1")).exit, 0);
    assert.equal(removals(), 3);
  });
});

/** A daemon with two sandboxes, both in a group, and one that it makes. */
class World {
  readonly lab: CliLab;
  /** Why box1 is. */
  frozen: string | undefined;
  /** What is answered to who wants its own sandbox to live longer. */
  extended: Answer = { value: boxCalled("map1") };
  readonly #home: string;
  readonly #boxes = new Map<string, FakeBox>();

  constructor(folder: string, does: Does, stdin = "") {
    this.#home = join(folder, "home");
    for (const name of ["box1", "box2", "map1"]) this.#boxes.set(name, new FakeBox(does, 2));
    const member = (name: string) => ({ id: `id-${name}`, name, box: boxCalled(name) });
    const notFound = (word: string) => new Failure("not-found", `no sandbox "${word}"`);
    const routes: NonNullable<LabOptions["routes"]> = {
      "GET /v1/groups/farm?exact=true": {
        value: { id: "g", name: "farm", made: 0, members: [member("box1"), member("box2")] },
      },
      "GET /v1/boxes/box1": { value: boxCalled("box1") },
      "GET /v1/boxes/id-box1": () => {
        const { sandbox, ...rest } = boxCalled("box1");
        const { frozen: reason } = this;
        return {
          value: { ...rest, sandbox: reason === undefined ? sandbox : { ...sandbox, state: "paused", reason } },
        };
      },
      "GET /v1/boxes/nobody": notFound("nobody"),
      "GET /v1/boxes?ask=false": { value: { boxes: [] } },
      "POST /v1/boxes": { steps: [{ result: boxCalled("map1") }] },
      "POST /v1/boxes/id-map1/extend": () => this.extended,
      "DELETE /v1/boxes/id-map1": {
        value: { id: "id-map1", name: "map1", node: { id: "n", name: "attic" }, done: true },
      },
    };
    const streams: NonNullable<LabOptions["streams"]> = {
      stdin: Readable.from([stdin]),
      ...{ stdout: nowhere(), stderr: nowhere() },
      setRaw: async () => undefined,
    };
    this.lab = new CliLab({ routes, streams, connect: (target) => this.#connect(target) });
  }

  box(name: string): FakeBox {
    const found = this.#boxes.get(name);
    assert.ok(found !== undefined);
    return found;
  }

  words(...words: string[]): readonly string[] {
    return ["--home", this.#home, "map", ...words];
  }

  async map(...words: string[]) {
    const ended = this.lab.p2prc(...this.words(...words));
    let over = false;
    void ended.finally(() => {
      over = true;
    });
    await this.until(() => over, 100);
    return await ended;
  }

  /** Lets so much time pass with each look. */
  async until(isTrue: () => boolean, stepMs: number): Promise<void> {
    while (!isTrue()) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await this.lab.clock.advance(stepMs);
    }
  }

  /** What `box-exec:` leads to: frames around the bytes of a worker. */
  #connect(target: string): Duplex | Failure {
    const inside = this.box(target.replace("box-exec:id-", ""));
    if (inside.refuses !== undefined) return inside.refuses;
    const [near, far] = duplexPair();
    void this.#serve(far, inside);
    return near;
  }

  async #serve(stream: Duplex, inside: FakeBox): Promise<void> {
    await using channel = await inside.start();
    const reading = (async () => {
      const reader = new FrameReader();
      for await (const bytes of stream as AsyncIterable<Buffer>)
        for (const { kind, content } of reader.take(bytes)) if (kind === "stdin") await channel.write(content);
    })().catch(() => undefined); // it was cut off
    for await (const bytes of channel.output) stream.write(encodeFrame("stdout", bytes));
    stream.end(encodeFrame("end", JSON.stringify({ kind: "exited", code: 0 })));
    await reading;
  }
}

function boxCalled(name: string) {
  return { ...box, sandbox: { ...box.sandbox, id: `id-${name}`, name } };
}

function nowhere(): Writable {
  return new Writable({ write: (_chunk, _encoding, done) => done() });
}

async function until(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
