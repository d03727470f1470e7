import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab } from "../support/lending-lab.ts";

const SCRIPT = join(import.meta.dirname, "../../examples/gnu-parallel.sh");

describe("GNU parallel", { skip: whyNot(), timeout: 120_000 }, () => {
  test("works on files in sandboxes by the ssh configuration, and brings results back", async () => {
    await using lab = await LendingLab.open();
    const touched = await lab.barn("touch", "--count", "2", "--near", "--name", "box", "--network", "none");
    assert.equal(touched.exit, 0, touched.lines.join("\n"));
    const cwd = join(lab.machines.folder, "work");
    await mkdir(cwd);
    const names = ["a.txt", "b.txt", "c.txt", "d.txt"];
    for (const [at, name] of names.entries()) await writeFile(join(cwd, name), "line\n".repeat(at + 1));
    const home = lab.machines.homeOf("barn");
    const words = ["box1,box2", "hostname > {}.found; wc -l < {} >> {}.found", ".found", ...names];
    await promisify(execFile)(SCRIPT, words, {
      cwd,
      env: { ...process.env, HOME: join(home, ".."), P2PRC_HOME: home },
    });
    const found = await Promise.all(names.map((name) => readFile(join(cwd, `${name}.found`), "utf8")));
    assert.deepEqual(
      found.map((text) => text.trim().split("\n")[1]),
      ["1", "2", "3", "4"],
    );
    assert.deepEqual(new Set(found.map((text) => text.split("\n")[0])), new Set(["box1", "box2"]));
  });
});

function whyNot(): string | false {
  for (const program of ["parallel", "rsync", "ssh"])
    if (spawnSync(program, ["-V"]).error !== undefined) return `SKIPPED: ${program} is not installed`;
  return bubblewrapSkip();
}
