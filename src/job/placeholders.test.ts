import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { fillWord, placeholdersIn, valuesOf } from "./placeholders.ts";

describe("placeholders", () => {
  test("stand for what an input is called", () => {
    const values = valuesOf("frames/a/001.tar.gz", 7);
    assert.deepEqual(values, { dir: "frames/a", base: "001.tar.gz", name: "001.tar", ext: "gz", n: "7" });
    assert.equal(fillWord("{dir}/{name}.{ext} {base} {n}", values), "frames/a/001.tar.gz 001.tar.gz 7");
    assert.equal(valuesOf("plain", 1).dir, ".");
    assert.equal(valuesOf("a\\b.c", 1).base, process.platform === "win32" ? "b.c" : "a\\b.c");
  });

  test("leave braces of others alone, and themselves when they are doubled", () => {
    assert.equal(fillWord("{print $1} {x} {} {{in}} {in}", { in: "I" }), "{print $1} {x} {} {in} I");
    assert.equal(fillWord("{out2}", { out: "x" }), "{out2}");
    assert.deepEqual([...placeholdersIn(["+I{in}", "{{out}}", "{out2}{n}"])], ["in", "out2", "n"]);
  });

  test("are not looked for in what they were filled with", () => {
    fc.assert(
      fc.property(fc.string(), (value) => {
        assert.equal(fillWord("<{in}>", { in: `{n}${value}$&`, n: "1" }), `<{n}${value}$&>`);
      }),
    );
  });

  test("change nothing in words without braces", () => {
    fc.assert(fc.property(fc.stringMatching(/^[^{}]*$/), (word) => fillWord(word, { in: "x" }) === word));
  });
});
