import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseEntryName, SafeFolder } from "./safe-path.ts";

describe("an entry's name", () => {
  test("is taken apart, without what stands for nothing", () => {
    assert.deepEqual(parseEntryName("./a//b/./c/"), ["a", "b", "c"]);
    assert.deepEqual(parseEntryName("./"), []);
  });

  for (const name of ["..\\..\\out", "a\\b", "C:out", "f:stream", "\\\\host\\share"]) {
    test(`is refused on Windows for what it means there: ${name}`, () => {
      assert.throws(() => parseEntryName(name, "windows"), { name: "Refusal", code: "bad-argument" });
      assert.deepEqual(parseEntryName(name, "posix"), [name]);
    });
  }
});

describe("a link", () => {
  const folder = new SafeFolder("/into");

  for (const [target, out] of [
    ["f", false],
    ["../d/f", false],
    [".", false],
    ["..", false],
    ["./../d//f", false],
    ["../..", true],
    ["../../into-not", true],
    ["/into/f", true],
    ["f/..", true],
    ["../d/..", true],
    ["../here/here/../../etc", true],
  ] as const) {
    test(`${out ? "leads out, or could" : "stays below the folder"}: ${target}`, () => {
      assert.equal(folder.leadsOut("/into/d/l", target), out);
    });
  }

  test("with a drive or a backslash leads out on Windows", () => {
    for (const target of ["C:\\Users", "C:f", "..\\..\\f", "\\\\host\\share"]) {
      assert.equal(folder.leadsOut("/into/d/l", target, "windows"), true, target);
    }
  });
});
