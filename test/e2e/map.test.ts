import assert from "node:assert/strict";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab, untilTrue } from "../support/lending-lab.ts";

/** What `p2prc map --json` prints, as far as it matters here. */
interface Result {
  readonly job: string;
  readonly tasks: number;
  readonly done: number;
  readonly failed: number;
  readonly hedged: number;
  readonly boxes: readonly { readonly name: string; readonly done: number; readonly bytesIn: number }[];
  readonly failures: readonly { readonly n: number; readonly why: string; readonly lastWords: readonly string[] }[];
  readonly text: string;
}

/** barn maps over three sandboxes that attic lends it. */
describe("p2prc map", { skip: bubblewrapSkip(), timeout: 120_000 }, () => {
  let lab: LendingLab;
  let work = "";
  before(async () => {
    lab = await LendingLab.open();
    work = join(lab.machines.folder, "work");
    await mkdir(work);
    const words = ["--count", "3", "--near", "--name", "box", "--group", "farm", "--network", "none"];
    const touched = await lab.barn("touch", ...words);
    assert.equal(touched.exit, 0, touched.lines.join("\n"));
  });
  after(async () => await lab[Symbol.asyncDispose]());

  test("brings back what each task made of its input, told of what failed, and goes on with what is missing", async () => {
    for (let n = 0; n < 12; n++) await writeFile(join(work, `in ${n}.txt`), `${n}\n`.repeat(n * 10_000));
    const count =
      'echo "did $3"; if [ "$3" = 7 ] && [ ! -e ~/mended ]; then echo "oh no" >&2; exit 7; fi; wc -l < "$1" > "$2"';
    const words = [join(work, "in {0..11}.txt"), "--out", join(work, "out/{name}.lines"), "--retries", "1"];
    const first = await map("--on", "farm", ...words, "--", "sh", "-c", count, "-", "{in}", "{out}", "{n}");
    assert.equal(first.exit, 1, first.lines.join("\n"));
    assert.deepEqual([first.result.done, first.result.failed], [11, 1]);
    assert.deepEqual([first.result.failures[0]?.n, first.result.failures[0]?.why], [6, "exit code 7"]);
    assert.deepEqual(first.result.failures[0]?.lastWords, ["oh no"]);
    assert.equal((await readdir(join(work, "out"))).length, 11);
    assert.equal(Number(await readFile(join(work, "out/in 11.lines"), "utf8")), 110_000);
    assert.equal(await readFile(join(first.result.text, "0/12.out"), "utf8"), "did 12\n");
    const shipped = first.result.boxes.reduce((sum, { bytesIn }) => sum + bytesIn, 0);

    await lab.barn("exec", "farm", "--", "touch", "mended");
    await rm(join(work, "out/in 3.lines"));
    const second = await map("--resume", first.result.job);
    assert.equal(second.exit, 0, second.lines.join("\n"));
    assert.equal(second.result.done, 12);
    assert.equal((await readdir(join(work, "out"))).length, 12);
    assert.equal(
      second.result.boxes.reduce((sum, box) => sum + box.done, 0),
      2,
    );
    const again = second.result.boxes.reduce((sum, { bytesIn }) => sum + bytesIn, 0);
    assert.ok(again < shipped, "what a sandbox has does not travel again");
    const left = await lab.barn("exec", "box1", "--", "ls", "-A", ".p2prc-map");
    assert.equal(left.lines.join(""), "", "nothing of it is left there");
  });

  test("loses no task when a sandbox goes away in the middle, and repeats those at most that ran there", async () => {
    const words = ["--on", "farm", "--args", "{1..90}", "--slots", "2", "--json"];
    const script = 'echo "$1" >> ~/ran; sleep 0.2';
    const running = await lab.machines.start("barn", ["map", ...words, "--", "sh", "-c", script, "-", "{in}"]);
    await untilTrue(async () => (await ranIn("box1")).length > 3);
    const before = await ranIn("box1");
    assert.equal((await lab.attic("kick", "box1")).exit, 0);
    const { exit, lines } = await running.ended;
    const result = resultOf(lines);
    assert.equal(exit, 0, lines.join("\n"));
    assert.deepEqual([result.done, result.failed], [90, 0]);
    const elsewhere = [...(await ranIn("box2")), ...(await ranIn("box3"))];
    const there = result.boxes.find(({ name }) => name === "box1")?.done ?? 0;
    assert.ok(before.length > 0 && there > 0 && there < 90, `box1 did ${there}`);
    assert.ok(there + new Set(elsewhere).size >= 90, "what box1 did not finish was done elsewhere");
    assert.ok(elsewhere.length <= 90 - there + result.hedged, "and only that");
    const twice = elsewhere.filter((n) => before.includes(n));
    assert.ok(twice.length <= 2 + result.hedged, `twice: ${twice.join(" ")}`);
  });

  test("waits at Ctrl-C for what runs, and goes on later elsewhere; its own sandboxes go with it", async () => {
    const words = ["--count", "1", "--near", "--network", "none", "--args", "{1..6}"];
    const running = await lab.machines.start("barn", [
      "map",
      ...words,
      "--json",
      "--",
      "sh",
      "-c",
      "echo {in} >> ~/ran; sleep 1.5",
    ]);
    await untilTrue(async () => (await ranIn("map1")).length > 0);
    running.child.kill("SIGINT");
    const { exit, lines } = await running.ended;
    assert.equal(exit, 130, lines.join("\n"));
    const { job, done } = resultOf(lines);
    assert.ok(done >= 1 && done < 6, `${done} are done`);
    assert.deepEqual(
      (await lab.held()).filter((name) => name.startsWith("map")),
      [],
    );
    const second = await map("--resume", job, "--on", "box2", "--slots", "3");
    assert.equal(second.exit, 0, second.lines.join("\n"));
    assert.deepEqual(
      second.result.boxes.map((box) => [box.name, box.done]),
      [["box2", 6 - done]],
    );
  });

  async function map(...words: string[]) {
    const { exit, lines } = await lab.barn("map", "--json", ...words);
    return { exit, lines, result: resultOf(lines) };
  }

  async function ranIn(box: string): Promise<readonly string[]> {
    const { lines } = await lab.barn("exec", box, "--", "cat", "ran");
    return lines.filter((line) => /^\d+$/.test(line));
  }
});

function resultOf(lines: readonly string[]): Result {
  const line = lines.find((one) => one.startsWith('{"job"'));
  assert.ok(line !== undefined, lines.join("\n"));
  return JSON.parse(line) as Result;
}
