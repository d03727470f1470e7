import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fakeId } from "../../../test/support/fake-link.ts";
import { Failure } from "../../core/index.ts";
import { parseSandboxId } from "../runtime/sandbox-id.ts";
import type { BoxRow } from "./box-book.ts";
import { findBox } from "./find-box.ts";

const rows = [
  row("build", "aaaabbbbccccdddd", 1),
  row("build-2", "aaaabbbbcccceeee", 1),
  row("web", "zzzzbbbbccccdddd", 2),
  row("aaaa", "qqqqbbbbccccdddd", 2),
];

describe("findBox", () => {
  for (const [typed, name] of [
    ["build", "build"], // whole, although another begins with it
    ["BUILD", "build"],
    ["build-", "build-2"],
    ["aaaabbbbcccceeee", "build-2"],
    ["aaaabbbbccccd", "build"],
    ["aaaa", "aaaa"], // a whole name before the start of an id
    ["w", "web"],
    ["web@barn", "web"],
    [`web@${fakeId(2).slice(0, 6)}`, "web"],
    ["build@attic", "build"],
  ] as const) {
    test(`takes ${typed} for ${name}`, () => assert.equal(find(typed).name, name));
  }

  for (const typed of ["", "@", "web@", "web@attic", "nothing", "../web", "-f", "$(web)", "we\nb", "%"]) {
    test(`finds nothing by ${JSON.stringify(typed)}`, () =>
      assert.throws(
        () => find(typed),
        (error) => {
          assert.ok(error instanceof Failure);
          assert.equal(error.code, "not-found");
          return !error.message.includes("\n");
        },
      ));
  }

  test("lists those that it may be", () => {
    assert.throws(() => find("buil"), {
      code: "ambiguous",
      message: '"buil" may be build on attic (aaaabbbbccccdddd) or build-2 on attic (aaaabbbbcccceeee)',
    });
  });
});

function find(typed: string): BoxRow {
  return findBox(typed, rows, ({ node }) => (node === fakeId(1) ? "attic" : "barn"));
}

function row(name: string, id: string, node: number): BoxRow {
  const request = { id: parseSandboxId(id), name, sshKey: "" };
  return { id: request.id, name, node: fakeId(node), state: "held", request, sandbox: undefined, at: 0 };
}
