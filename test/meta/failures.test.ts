import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { failures } from "../../src/core/index.ts";
import { find, read } from "./repository.ts";

describe("the table of failures", () => {
  test("holds no code that nothing throws", () => {
    const sources = find("src/**/*.ts").filter((file) => !file.endsWith(".test.ts") && file !== "src/core/errors.ts");
    const throwing = sources.map((file) => withoutQuestions(read(file))).filter((code) => code.includes("Failure("));
    const unused = Object.keys(failures).filter((code) => !throwing.some((source) => source.includes(`"${code}"`)));
    assert.deepEqual(unused, []);
  });

  test("gives every code a status and an exit code that a shell can tell from success", () => {
    for (const [code, { status, exit }] of Object.entries(failures)) {
      assert.ok(status >= 400 && status < 600, code);
      assert.ok(exit >= 2 && exit < 64, code);
    }
  });
});

/** Without the places that only ask for a code, and without comments. */
function withoutQuestions(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(?:[!=]==|\bcase) "[a-z-]+"/g, "");
}
