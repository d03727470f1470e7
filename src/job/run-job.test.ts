import assert from "node:assert/strict";
import { readdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { type Does, FakeBox } from "../../test/support/fake-worker.ts";
import { JobLab } from "../../test/support/job-lab.ts";
import { TinyDisk } from "../../test/support/tiny-disk.ts";
import { Failure } from "../core/light.ts";

const words = (count: number) => Array.from({ length: count }, (_, at) => `w${at}`);

describe("a job", () => {
  test("runs every task once, in whichever box is free, and brings outputs back under their names", async () => {
    await using lab = await JobLab.open();
    const echo: Does = async ({ argv }) => ({ outs: [`<${argv[1]}>`], stdout: `said ${argv[1]}\n` });
    for (const name of ["a", "b"]) lab.boxes.set(name, new FakeBox(echo, 2));
    const job = await lab.job(words(50), { argv: ["do", "{in}", "{out}"], outs: ["out/{in}.txt"] });
    const tally = await lab.run(job);
    assert.ok(tally.finished);
    assert.equal((await lab.names("out")).length, 50);
    assert.equal(await lab.read("out/w7.txt"), "<w7>");
    assert.equal(await lab.read(`home/jobs/${job.id}/text/0/8.out`), "said w7\n");
    const ran = [...lab.boxes.values()].flatMap((box) => box.ran);
    assert.equal(ran.length, 50);
    assert.match(ran[0] ?? "", /^do w\d+ \/root\/tasks\/\d+\/out\/w\d+\.txt$/);
    assert.ok([...lab.boxes.values()].every((box) => box.cleared));
  });

  test("fails a task whose input changes while it is shipped, plainly and once, and no other", async () => {
    await using lab = await JobLab.open();
    await lab.write("steady", "s".repeat(1_000_000));
    await lab.write("moving", "m".repeat(1_000_000));
    const box = new FakeBox(async () => ({}));
    lab.boxes.set("a", box);
    const start = box.start.bind(box);
    box.start = async () => {
      const channel = await start();
      const write = channel.write.bind(channel);
      channel.write = async (bytes) => {
        if (Buffer.from(bytes).includes('"name":"moving"')) await lab.write("moving", "other");
        await write(bytes);
      };
      return channel;
    };
    const tally = await lab.run(await lab.job(["moving", "steady"], { files: true, retries: 5 }));
    assert.equal(tally.doneNow, 1);
    assert.deepEqual(
      lab.failures.map(({ n, why }) => [n, why]),
      [[0, 'the input "' + lab.folder + '/moving" changed while it was shipped']],
    );
    assert.deepEqual(box.ran, ["do /root/tasks/2/in/steady"]);
  });

  test("ships an input to a box once, whoever wants it", async () => {
    await using lab = await JobLab.open();
    for (const name of ["same1", "same2", "same3"]) await lab.write(name, "the same");
    await lab.write("other", "another");
    const box = new FakeBox(async () => ({}), 2);
    lab.boxes.set("a", box);
    await lab.run(await lab.job(["same1", "same2", "other", "same3", "same1"], { files: true }));
    assert.equal(box.ran.length, 5);
    assert.equal(box.shipped.length, 2);
  });

  test("tries elsewhere what failed, and tells of what fails each time with the end of its stderr", async () => {
    await using lab = await JobLab.open();
    lab.boxes.set(
      "a",
      new FakeBox(async () => ({ end: { kind: "exited", code: 7 }, stderr: "one\ntwo\nthree\nfour\n" })),
    );
    lab.boxes.set("b", new FakeBox(async ({ argv }) => ({ end: { kind: "exited", code: argv[1] === "w2" ? 9 : 0 } })));
    const tally = await lab.run(await lab.job(words(6), { retries: 3 }));
    assert.equal(tally.doneNow, 5);
    assert.equal(tally.failedCount, 1);
    assert.deepEqual(
      lab.failures.map(({ n, why }) => [n, /exit code [79]/.test(why)]),
      [[2, true]],
    );
    assert.deepEqual(
      (await lab.again(await lab.job(words(1), { retries: 0 }))).failures[0]?.lastWords.slice(-1),
      lab.failures.at(-1)?.lastWords.slice(-1),
    );
  });

  test("counts an output that is missing, that did not arrive as it was sent, or that is too large, as a failure", async () => {
    await using lab = await JobLab.open();
    const results: Record<string, Awaited<ReturnType<Does>>> = {
      w0: { end: { kind: "refused", reason: "its output w0 is missing" } },
      w1: {},
      w2: { outs: ["x"], lies: true },
      w3: { outs: ["x".repeat(2_000)] },
      w4: { outs: ["x", "what nobody asked for"] },
    };
    lab.boxes.set("a", new FakeBox(async ({ argv }) => results[argv[1] ?? ""] ?? {}));
    const spec = { argv: ["do", "{in}", "{out}"], outs: ["out/{in}"], retries: 0, maxBytes: 1_000 };
    const tally = await lab.run(await lab.job(words(5), spec));
    assert.equal(tally.failedCount, 5);
    const why = Object.fromEntries(lab.failures.map((failure) => [failure.input, failure.why]));
    assert.match(why["w0"] ?? "", /is missing/);
    assert.match(why["w1"] ?? "", /an output is missing/);
    assert.match(why["w2"] ?? "", /did not arrive as it was sent/);
    assert.match(why["w3"] ?? "", /over 1000 bytes/);
    assert.match(why["w4"] ?? "", /nobody asked for/);
    assert.deepEqual(await lab.names("out"), [], "nothing half-written is left");
  });

  test("loses no task with a box, and repeats those at most that ran there", async () => {
    await using lab = await JobLab.open();
    const slow: Does = async (_, signal) => {
      await lab.clock.sleep(1_000, signal);
      return {};
    };
    for (const name of ["a", "b", "c"]) lab.boxes.set(name, new FakeBox(slow, 2));
    const dying = lab.boxes.get("a");
    const running = lab.begin(await lab.job(words(60)));
    await lab.until(waitFor(() => (dying?.ran.length ?? 0) >= 6));
    if (dying !== undefined) dying.refuses = new Failure("not-found", "no sandbox a");
    dying?.cut();
    const tally = await lab.until(running);
    assert.ok(tally.finished);
    const ran = [...lab.boxes.values()].flatMap((box) => box.ran);
    assert.ok(ran.length <= 62 + tally.hedged, `${ran.length} were run`);
    assert.equal(new Set(ran).size, 60);
    assert.match(lab.news.join("\n"), /a: given up: no sandbox a/);
  });

  test("goes on in a box that comes back", async () => {
    await using lab = await JobLab.open();
    const box = new FakeBox(async (_, signal) => {
      await lab.clock.sleep(1_000, signal);
      return {};
    });
    lab.boxes.set("a", box);
    const running = lab.begin(await lab.job(words(5)));
    await lab.until(waitFor(() => box.ran.length === 2));
    box.refuses = new Failure("unreachable", "its node does not answer");
    box.cut();
    await lab.until(waitFor(() => box.starts >= 3));
    box.refuses = undefined;
    const tally = await lab.until(running);
    assert.ok(tally.finished);
    assert.equal(box.ran.length, 6);
    assert.equal(tally.boxes.get("a")?.lost, 1);
  });

  test("waits minutes for a node that is away, and says so once", async () => {
    await using lab = await JobLab.open();
    const box = new FakeBox(async () => ({}));
    box.refuses = new Failure("unreachable", "attic cannot be reached");
    lab.boxes.set("a", box);
    const running = lab.begin(await lab.job(words(3)));
    await lab.until(waitFor(() => lab.clock.now() > 4 * 60_000));
    box.refuses = undefined;
    assert.ok((await lab.until(running)).finished);
    assert.deepEqual(lab.news, ["a: attic cannot be reached"]);
  });

  test("ends where no box is left, says why, and is gone on with elsewhere", async () => {
    await using lab = await JobLab.open();
    const box = new FakeBox(async ({ argv }) => {
      if (argv[1] === "w3") box.cut();
      return {};
    });
    lab.boxes.set("a", box);
    const job = await lab.job(words(6));
    const running = lab.begin(job);
    running.catch(() => undefined);
    await lab.until(waitFor(() => box.ran.length >= 4));
    box.refuses = new Failure("not-found", "no sandbox a");
    await assert.rejects(lab.until(running), { code: "link-lost", message: /no sandbox is left.*a: / });
    lab.boxes.set("a", new FakeBox(async () => ({})));
    const tally = await lab.again(job);
    assert.ok(tally.finished);
    assert.equal(tally.before, 3);
  });

  test("gives up on a task that takes its box down each time", async () => {
    await using lab = await JobLab.open();
    const box = new FakeBox(async ({ argv }, signal) => {
      await lab.clock.sleep(100, signal);
      if (argv[1] === "w1") box.cut();
      return {};
    });
    lab.boxes.set("a", box);
    const tally = await lab.run(await lab.job(words(4)));
    assert.equal(tally.doneNow, 3);
    assert.deepEqual(
      lab.failures.map(({ n, why }) => [n, why]),
      [[1, "its sandbox was lost each time while it ran"]],
    );
  });

  test("gives up a box in which no worker lives long enough to do anything", async () => {
    await using lab = await JobLab.open();
    const box = new FakeBox(async () => {
      box.cut();
      return {};
    });
    lab.boxes.set("a", box);
    await assert.rejects(lab.run(await lab.job(words(4))), { code: "link-lost" });
    assert.equal(box.starts, 8);
  });

  test("does twice what takes far too long, also in a box that does not answer, and comes to its end", async () => {
    await using lab = await JobLab.open();
    const frozen = new FakeBox(async () => {
      frozen.freeze();
      return {};
    });
    lab.boxes.set("a", frozen);
    lab.boxes.set(
      "b",
      new FakeBox(async (_, signal) => {
        await lab.clock.sleep(500, signal);
        return {};
      }),
    );
    const tally = await lab.run(await lab.job(words(8)));
    assert.ok(tally.finished);
    assert.equal(tally.boxes.get("b")?.done, 8);
  });

  test("waits for what runs when it is drained, and goes on later", async () => {
    await using lab = await JobLab.open();
    const box = new FakeBox(async (_, signal) => {
      await lab.clock.sleep(1_000, signal);
      return {};
    }, 2);
    lab.boxes.set("a", box);
    const job = await lab.job(words(10));
    const running = lab.begin(job);
    await lab.until(waitFor(() => box.ran.length === 2));
    lab.drain.abort();
    const tally = await lab.until(running);
    assert.equal(tally.doneNow, 2);
    assert.equal(box.cleared, false);
    const later = new JobLabAgain(lab);
    assert.equal((await later.run(job.id)).before, 2);
    assert.equal(new Set(box.ran).size, 10);
    assert.equal(box.ran.length, 10);
  });

  test("stops at once when it is told to, and notes no failure for that", async () => {
    await using lab = await JobLab.open();
    const box = new FakeBox(async (_, signal) => {
      await lab.clock.sleep(60_000, signal);
      return {};
    });
    lab.boxes.set("a", box);
    const job = await lab.job(words(3));
    const running = lab.begin(job);
    await lab.until(waitFor(() => box.ran.length === 1));
    lab.stop.abort();
    await assert.rejects(running);
    assert.deepEqual(lab.failures, []);
    assert.equal(lab.latest?.doneNow, 0);
  });

  test("stops where results find no room, leaves nothing half-written, and goes on when there is", async (t) => {
    await using lab = await JobLab.open();
    await using disk = await TinyDisk.mount(t, 512 * 1024);
    if (disk === undefined) return;
    lab.boxes.set("a", new FakeBox(async () => ({ outs: ["x".repeat(100_000)] })));
    const out = `${disk.path}/{in}`;
    const job = await lab.job(words(4), { argv: ["do", "{in}", "{out}"], outs: [out] });
    await disk.fill(250_000);
    await assert.rejects(lab.run(job), { code: "disk-full", message: /no room is left on this machine/ });
    assert.deepEqual(lab.failures, [], "that is no failure of a task");
    assert.deepEqual((await readdir(disk.path)).sort(), ["filler", "w0", "w1"]);
    await disk.clear();
    const tally = await lab.again(job);
    assert.ok(tally.finished);
    assert.equal(tally.before, 2);
  });

  test("does again what has lost its output, or whose input is another by now, and nothing else", async () => {
    await using lab = await JobLab.open();
    for (const name of ["i0", "i1", "i2", "i3"]) await lab.write(name, `content of ${name}`);
    const box = new FakeBox(async () => ({ outs: ["result"] }));
    lab.boxes.set("a", box);
    const spec = { argv: ["do", "{in}", "{out}"], outs: ["out/{name}"], files: true };
    const job = await lab.job(["i0", "i1", "i2", "i3"], spec);
    await lab.run(job);
    await lab.write("i1", "other content");
    await lab.write("i2", "content of i2"); // touched, and the same
    await lab.write("out/i3", "half");
    box.ran.length = 0;
    const tally = await lab.again(job);
    assert.ok(tally.finished);
    assert.deepEqual(
      box.ran.map((one) => /i\d/.exec(one)?.[0] ?? "").sort((a, b) => a.localeCompare(b)),
      ["i1", "i3"],
    );
    assert.equal(await lab.read("out/i3"), "result");
  });
});

/** A later process: nothing of the first one is aborted in it. */
class JobLabAgain {
  readonly #lab: JobLab;

  constructor(lab: JobLab) {
    this.#lab = lab;
  }

  async run(id: string) {
    const later = Object.assign(Object.create(Object.getPrototypeOf(this.#lab) as object) as JobLab, this.#lab, {
      drain: new AbortController(),
    });
    return await later.again({ id } as Parameters<JobLab["again"]>[0]);
  }
}

async function waitFor(isTrue: () => boolean): Promise<void> {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve));
}
