import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { expandBraces } from "./brace-range.ts";

const expand = (text: string) => [...expandBraces(text)];

describe("braces", () => {
  test("are ranges, as wide as they are written", () => {
    assert.deepEqual(expand("f/{001..003}.pov"), ["f/001.pov", "f/002.pov", "f/003.pov"]);
    assert.deepEqual(expand("{8..10}"), ["8", "9", "10"]);
    assert.deepEqual(expand("{08..10}"), ["08", "09", "10"]);
    assert.deepEqual(expand("{3..1}"), ["3", "2", "1"]);
    assert.deepEqual(expand("{-1..1}"), ["-1", "0", "1"]);
    assert.deepEqual(expand("{1..10..4}"), ["1", "5", "9"]);
    assert.deepEqual(expand("{a..c}"), ["a", "b", "c"]);
    assert.deepEqual(expand("{e..a..2}"), ["e", "c", "a"]);
  });

  test("are lists, one in another, and the last one turns fastest", () => {
    assert.deepEqual(expand("{a,b}{1,2}"), ["a1", "a2", "b1", "b2"]);
    assert.deepEqual(expand("x{a,{b,c}d,}"), ["xa", "xbd", "xcd", "x"]);
    assert.deepEqual(expand("{0..1}{0..1}"), ["00", "01", "10", "11"]);
  });

  test("stay as they are where they are neither", () => {
    for (const text of ["", "plain", "{}", "{a}", "{1..}", "{", "}", "{a,b", "awk {print}"])
      assert.deepEqual(expand(text), [text]);
    assert.deepEqual(expand("{x}{a,b}"), ["{x}a", "{x}b"]);
    assert.deepEqual(expand("\\{a,b}"), ["{a,b}"]);
  });

  test("refuse a range that never ends", () => {
    assert.throws(() => expand("{1..1000001}"), RangeError);
    assert.equal(expand("{1..1000000}").length, 1_000_000);
  });

  test("hold every number of a range, once and in order", () => {
    const number = fc.integer({ min: -500, max: 500 });
    fc.assert(
      fc.property(number, number, (from, to) => {
        const step = from <= to ? 1 : -1;
        const expected = Array.from({ length: Math.abs(to - from) + 1 }, (_, at) => String(from + at * step));
        assert.deepEqual(expand(`{${from}..${to}}`), expected);
      }),
    );
  });

  test("never fail on any text, and leave text without them alone", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom("{", "}", ",", ".", "\\", "a", "1"), maxLength: 12 }),
        (text) => expand(text).length > 0,
      ),
    );
    fc.assert(fc.property(fc.stringMatching(/^[^{}\\]*$/), (text) => assert.deepEqual(expand(text), [text])));
  });
});
