import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { rowStates } from "../../src/table/contract.ts";
import { formatIpTable } from "../../src/table/ip-table-file.ts";
import { nodeRow } from "../support/node-row.ts";
import { read } from "./repository.ts";

const page = read("docs/ip-table.md");

describe("docs/ip-table.md", () => {
  test("names every field of the file in its table and its example, and no other", () => {
    const [entry] = (JSON.parse(formatIpTable([nodeRow({})])) as { ip_address: object[] }).ip_address;
    const fields = Object.keys(entry ?? {});
    const [, example = "{}"] = /```json\n([\s\S]*?)```/.exec(page) ?? [];
    const [shown] = (JSON.parse(example) as { ip_address: object[] }).ip_address;
    assert.deepEqual(Object.keys(shown ?? {}), fields);
    assert.deepEqual(firstCells("field"), fields);
  });

  test("names every state", () => {
    assert.deepEqual(firstCells("`state` in"), [...rowStates]);
  });
});

/** The first column of the table whose title begins so. */
function firstCells(title: string): readonly string[] {
  const lines = page.split("\n");
  const at = lines.findIndex((line) => line.startsWith(`| ${title}`)) + 2;
  const end = lines.findIndex((line, index) => index > at && !line.startsWith("|"));
  return lines.slice(at, end).map((line) => /^\| `(\w+)`/.exec(line)?.[1] ?? line);
}
