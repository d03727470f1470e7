/** A group in the place of a sandbox, on three real ones: in parallel, each line with a name before it, one exit code. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab } from "../support/lending-lab.ts";

/** As the first P2PRC printed it, as far as it matters here. */
interface SeedGroup {
  readonly ID: string;
  readonly TrackContainer:
    | readonly { readonly ID: string; readonly Container: { readonly TagName: string }; readonly IpAddress: string }[]
    | null;
}

const skip = bubblewrapSkip() || (spawnSync("ssh", ["-V"]).status !== 0 && "ssh is not installed");

describe("a group of sandboxes", { skip, timeout: 120_000 }, () => {
  let lab: LendingLab;
  before(async () => {
    lab = await LendingLab.open();
    const words = ["--near", "--count", "3", "--name", "box", "--group", "farm", "--network", "none"];
    await ok("touch", ...words, "--", "sh", "-c", "echo begun; exec sleep 1000");
  });
  after(async () => await lab[Symbol.asyncDispose]());

  test("takes a file, and gives one back from each", async () => {
    const file = join(lab.machines.folder, "words.txt");
    await writeFile(file, "one for all\n");
    await ok("cp", file, "farm:words.txt");
    assert.deepEqual(await lines("exec", "farm", "--", "cat", "words.txt"), each("one for all"));
    await ok("exec", "farm", "--", "sh", "-c", "hostname > mine");
    await ok("cp", "box2:mine", join(lab.machines.folder, "mine"));
    assert.equal(await readFile(join(lab.machines.folder, "mine"), "utf8"), "box2\n");
  });

  test("runs in all at once, and ends with the code of the first that failed", async () => {
    const line = 'echo "to stdout"; echo "to stderr" >&2; case $(hostname) in box2) exit 7;; box3) exit 9;; esac';
    const { exit, lines: said } = await lab.barn("exec", "farm", "--", "sh", "-c", line);
    assert.equal(exit, 7);
    const told = said.filter((one) => !one.startsWith("p2prc: "));
    assert.deepEqual(told.toSorted(), [...each("to stderr"), ...each("to stdout")].toSorted());
    assert.match(said.join("\n"), /2 of 3 failed: box2 \(exit 7\), box3 \(exit 9\)/);
    const begun = performance.now();
    await ok("exec", "farm", "--", "sleep", "4");
    assert.ok(performance.now() - begun < 11_000, "one after the other they sleep twelve seconds");
  });

  test("shows the logs of all, and lets ssh into the first", async () => {
    assert.deepEqual(await lines("logs", "farm"), each("begun"));
    assert.deepEqual(await lines("ssh", "farm", "--", "hostname"), ["box1"]);
    assert.equal((await lab.barn("ssh", "farm", "--", "exit 5")).exit, 5);
  });

  test("is made, changed and shown by the flags of the first P2PRC", async () => {
    const made = seed<SeedGroup>(await ok("--cgroup"));
    assert.match(made.ID, /^grp[0-9a-f-]{36}$/);
    assert.equal(made.TrackContainer, null);
    const { boxes } = seed<{ boxes: { sandbox: { id: string; name: string } }[] }>(await ok("ps", "--json"));
    const [first, second] = ["box1", "box2"].map(
      (name) => boxes.find(({ sandbox }) => sandbox.name === name)?.sandbox.id,
    );
    await ok("--group", made.ID, "--id", String(first));
    const two = seed<SeedGroup>(await ok("--group", made.ID, "--id", String(second)));
    assert.deepEqual(
      two.TrackContainer?.map(({ ID, Container, IpAddress }) => [ID, Container.TagName, IpAddress]),
      [
        [first, "box1", `127.0.0.1:${lab.port}`],
        [second, "box2", `127.0.0.1:${lab.port}`],
      ],
    );
    const one = seed<SeedGroup>(await ok("--rmcgroup", "--group", made.ID, "--id", String(first)));
    assert.deepEqual(
      one.TrackContainer?.map(({ ID }) => ID),
      [second],
    );
    assert.deepEqual(seed<SeedGroup>(await ok("--group", made.ID)), one);
    const { Groups } = seed<{ Groups: SeedGroup[] }>(await ok("--groups"));
    assert.deepEqual(
      Groups.map(({ ID, TrackContainer }) => [ID === made.ID, TrackContainer?.length]),
      [
        [false, 3],
        [true, 1],
      ],
    );
    assert.deepEqual(await lines("--rmgroup", made.ID), ["Success"]);
    assert.equal((await lab.held()).length, 3, "its sandboxes live on");
  });

  test("goes on without one that has ended, says so, and is removed as a whole", async () => {
    assert.equal((await lab.attic("kick", "box2")).exit, 0);
    const { exit, lines: said } = await lab.barn("exec", "farm", "--", "true");
    assert.notEqual(exit, 0);
    assert.match(said.join("\n"), /box2.*1 of 3 failed: box2/s);
    await lab.barn("rm", "farm");
    assert.deepEqual(await lab.held(), []);
    assert.equal((await lab.barn("exec", "farm", "--", "true")).exit, 3);
    assert.deepEqual(await lab.lent(), []);
  });

  async function ok(...words: string[]): Promise<readonly string[]> {
    const said = await lab.barn(...words);
    assert.equal(said.exit, 0, `${words.join(" ")}:\n${said.lines.join("\n")}`);
    return said.lines;
  }

  /** In the order of their names. */
  async function lines(...words: string[]): Promise<readonly string[]> {
    return (await ok(...words)).toSorted();
  }
});

function each(line: string): readonly string[] {
  return ["box1", "box2", "box3"].map((box) => `${box}  ${line}`);
}

function seed<T>(lines: readonly string[]): T {
  return JSON.parse(lines.join("\n")) as T;
}
