import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { withInterpreter } from "./elf-interpreter.ts";
import { librariesOf } from "./libraries.ts";

describe("withInterpreter", () => {
  test("makes a program start by another loader", { skip: process.platform !== "linux" && "not Linux" }, async () => {
    const folder = await mkdtemp(join(tmpdir(), "p2-"));
    try {
      const { loader = "" } = await librariesOf("/bin/true", new AbortController().signal);
      const link = join(folder, "ld");
      await symlink(loader, link);
      const program = join(folder, "true");
      await writeFile(program, withInterpreter(await readFile("/bin/true"), link));
      await chmod(program, 0o755);
      execFileSync(program);
      await rm(link);
      assert.throws(() => execFileSync(program), { code: "ENOENT" });
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("refuses what is no such program, and a name that does not fit", async () => {
    assert.throws(() => withInterpreter(Buffer.from("#!/bin/sh\n"), "/x"), RangeError);
    assert.throws(() => withInterpreter(Buffer.alloc(0), "/x"), RangeError);
    const program = await readFile("/bin/true");
    assert.throws(() => withInterpreter(program, `/${"x".repeat(60)}`), /no room/u);
  });
});
