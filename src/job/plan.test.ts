import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { findInputs, type InputWords } from "./inputs.ts";
import { argvOf, checkPlan, type JobSpec, taskOf } from "./plan.ts";

const spec = (more: Partial<JobSpec> = {}): JobSpec => ({
  ...{ argv: ["do", "{in}"], outs: [], files: true, cwd: "/here", retries: 2, maxBytes: 1 },
  ...more,
});

describe("a plan", () => {
  test("makes tasks with words of their own", () => {
    const asked = spec({
      argv: ["render", "+I{in}", "+O{out}", "{out2}", "{n}"],
      outs: ["out/{name}.png", "/log/{n}"],
    });
    const task = taskOf(asked, ["a/001.pov"], 0);
    assert.deepEqual(task, {
      n: 0,
      input: "a/001.pov",
      path: "/here/a/001.pov",
      outs: ["/here/out/001.png", "/log/1"],
    });
    assert.deepEqual(argvOf(asked, task, "/t/9"), [
      "render",
      "+I/t/9/in/001.pov",
      "+O/t/9/out/001.png",
      "/t/9/out/2-1",
      "1",
    ]);
  });

  test("hands words over as they are", () => {
    const asked = spec({ files: false });
    assert.deepEqual(argvOf(asked, taskOf(asked, ["$(rm -rf /); `x` {n} 'y'\n"], 0), "/t"), [
      "do",
      "$(rm -rf /); `x` {n} 'y'\n",
    ]);
  });

  test("is refused where it would do nothing, or not what was meant", async () => {
    const refuse = async (asked: JobSpec, inputs: readonly string[], error: object) =>
      await assert.rejects(checkPlan(asked, inputs), error);
    await refuse(spec({ argv: [] }), ["a"], { code: "bad-argument", message: /no command/ });
    await refuse(spec({ argv: ["do"] }), ["a"], { code: "bad-argument", message: /does not name \{in\}/ });
    await refuse(spec({ argv: ["do", "{in}", "{out}"] }), ["a"], { code: "bad-argument", message: /no such --out/ });
    await refuse(spec({ outs: ["x"] }), ["a"], { code: "bad-argument", message: /does not name \{out\}/ });
    const out = (pattern: string) => spec({ argv: ["do", "{in}", "{out}"], outs: [pattern] });
    await refuse(out("{name}.png"), ["a/1.pov", "b/1.pov"], { code: "conflict", message: /written twice/ });
    await refuse(out("{in}"), ["a"], { code: "conflict", message: /overwrite the input/ });
    await checkPlan(out("{dir}/{name}.png"), ["a/1.pov", "b/1.pov"]);
    await checkPlan(spec({ argv: ["true"], files: false }), ["a", "a"]);
  });

  test("is refused where an output would overwrite an input through a link, to a folder or to a file", async () => {
    const cwd = await mkdtemp(join(tmpdir(), "p2prc-plan-"));
    try {
      await mkdir(join(cwd, "there"));
      await writeFile(join(cwd, "there/f"), "");
      await symlink("there", join(cwd, "link"));
      await symlink("there/f", join(cwd, "g"));
      const asked = (pattern: string) => spec({ argv: ["do", "{in}", "{out}"], outs: [pattern], cwd });
      const overwrites = { code: "conflict", message: /overwrite the input/ };
      await assert.rejects(checkPlan(asked("link/{base}"), ["there/f"]), overwrites);
      await assert.rejects(checkPlan(asked("there/{base}"), ["link/f"]), overwrites);
      await assert.rejects(checkPlan(asked("there/f"), ["g"]), overwrites);
      await assert.rejects(checkPlan(asked("{in}"), ["g"]), overwrites);
      const twice = spec({ argv: ["do", "{in}", "{out}", "{out2}"], outs: ["link/new/o", "there/new/o"], cwd });
      await assert.rejects(checkPlan(twice, ["there/f"]), { code: "conflict", message: /written twice/ });
      await checkPlan(asked("link/{base}.out"), ["there/f"]);
    } finally {
      await rm(cwd, { recursive: true, force: true });
    }
  });
});

describe("inputs", () => {
  let cwd = "";
  const find = async (...words: string[]) => await findInputs({ words, files: true, cwd });
  before(async () => {
    cwd = await mkdtemp(join(tmpdir(), "p2prc-inputs-"));
    await mkdir(join(cwd, "f"));
    for (const name of ["f/003.pov", "f/001.pov", "f/002.pov", "f/a [b].txt"]) await writeFile(join(cwd, name), "");
  });
  after(async () => await rm(cwd, { recursive: true, force: true }));

  test("are names, ranges and globs, in their order", async () => {
    assert.deepEqual(await find("f/{002..003}.pov", "f/*.pov"), [
      "f/002.pov",
      "f/003.pov",
      "f/001.pov",
      "f/002.pov",
      "f/003.pov",
    ]);
    assert.deepEqual(await find("f/a [b].txt"), ["f/a [b].txt"]);
  });

  test("are words where that is said, whatever they look like", async () => {
    assert.deepEqual(await findInputs({ words: ["*", "{1..2}"], files: false, cwd }), ["*", "1", "2"]);
  });

  test("come from a list as they stand", async () => {
    const lines = (async function* () {
      yield* ["f/001.pov", "", "f/a [b].txt"];
    })();
    assert.deepEqual(await findInputs({ words: [], lines, files: true, cwd }), ["f/001.pov", "f/a [b].txt"]);
  });

  test("are refused where they are not there, no files, none or too many", async () => {
    await assert.rejects(find("f/004.pov"), { code: "not-found", message: /no such file: "f\/004.pov"/ });
    await assert.rejects(find("f/*.jpg"), { code: "not-found", message: /no file is called/ });
    await assert.rejects(find("f"), { code: "bad-argument", message: /is no file/ });
    await assert.rejects(find(), { code: "bad-argument", message: /no inputs/ });
    const many: InputWords = { words: ["{1..1000}{1..1001}"], files: false, cwd };
    await assert.rejects(findInputs(many), { code: "too-large" });
  });
});
