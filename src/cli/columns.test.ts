import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { formatColumns, formatFields, widthOf } from "./columns.ts";

describe("formatColumns", () => {
  test("sets texts to the left and numbers to the right", () => {
    assert.deepEqual(
      formatColumns(
        [{ title: "NAME" }, { title: "RTT", align: "right" }, { title: "SEEN" }],
        [
          ["attic", "28.2 ms", "now"],
          ["b", "1 ms", "3 d"],
        ],
      ),
      ["NAME       RTT  SEEN", "attic  28.2 ms  now", "b         1 ms  3 d"],
    );
  });

  test("keeps wide and odd names in line", () => {
    const lines = formatColumns(
      [{ title: "NAME" }, { title: "X" }],
      [
        ["屋根裏", "1"],
        ["e\u0301te\u0301", "2"],
        ["🏠", "3"],
        ["plain", "4"],
      ],
    );
    assert.deepEqual(
      lines.slice(1).map((line) => widthOf(line)),
      [9, 9, 9, 9],
    );
  });

  test("shows no control and no right-to-left characters", () => {
    const [, line = ""] = formatColumns([{ title: "NAME" }], [["a\u001b[31mb\u202ec\r\n"]]);
    assert.equal(line, "a[31mbc");
  });

  test("shows an empty cell as a dash and cuts a long one", () => {
    const [, line = ""] = formatColumns(
      [{ title: "A" }, { title: "B" }, { title: "C" }],
      [["", "x".repeat(100), "y".repeat(100)]],
    );
    assert.equal(line, `-  ${"x".repeat(59)}…  ${"y".repeat(100)}`);
  });

  test("leaves no spaces at the end of a line", () => {
    assert.deepEqual(formatColumns([{ title: "A" }, { title: "LONG" }], [["x", "y"]]), ["A  LONG", "x  y"]);
  });
});

test("formatFields puts the values under each other", () => {
  assert.deepEqual(
    formatFields([
      ["Name", "attic"],
      ["Listening on", "[::]:8088"],
    ]),
    ["Name:          attic", "Listening on:  [::]:8088"],
  );
});
