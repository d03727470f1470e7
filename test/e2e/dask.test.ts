import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab } from "../support/lending-lab.ts";
import { EXAMPLES, runExample, touchFarm } from "../support/run-example.ts";

describe("Dask", { skip: whyNot(), timeout: 300_000 }, () => {
  test("has a cluster over a group without a network, whose workers exchange what they compute", async () => {
    await using lab = await LendingLab.open();
    const touched = await touchFarm(lab);
    assert.equal(touched.exit, 0, touched.lines.join("\n"));
    const { out, err, code } = await runExample(lab, ["dask.sh", "farm", join(EXAMPLES, "dask-product.py")]);
    assert.equal(code, 0, err);
    const [, workers, bytes, trace] = /^workers (\d+)\n.* (\d+)\ntrace (\d+)\n$/.exec(out) ?? [];
    assert.equal(workers, "3", out);
    // Two thirds of x are on another worker than the one that needs them.
    assert.ok(Number(bytes) > (1_200 * 900 * 8) / 2, out);
    assert.equal(Number(trace), expectedTrace());
    // All of it is over: nothing is carried, and no process of it is left.
    assert.equal((await lab.barn("group", "tunnel", "farm")).exit, 3);
    const left = await lab.bytes(["exec", "box1", "--", "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '"]);
    assert.doesNotMatch(String(left.stdout), /distributed/);
  });
});

/** Of x.T @ x: the squares of all numbers in x. */
function expectedTrace(): number {
  return Array.from({ length: 1_200 * 900 }, (_, at) => (at % 97) ** 2).reduce((sum, square) => sum + square, 0);
}

function whyNot(): string | false {
  const found = spawnSync("/usr/bin/python3", ["-c", "import distributed, numpy"]);
  if (found.status !== 0) return "SKIPPED: python3-distributed is not installed";
  return bubblewrapSkip();
}
