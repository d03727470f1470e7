import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { describe, test } from "node:test";
import { isHomeName } from "../../src/core/light.ts";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab } from "../support/lending-lab.ts";

describe("a home that was used on both sides", { skip: bubblewrapSkip(), timeout: 120_000 }, () => {
  test("holds nothing but what uninstall knows, and is gone after it, its sandboxes too", async () => {
    await using lab = await LendingLab.open();
    const touched = await lab.barn("touch", "attic", "--name", "box");
    assert.equal(touched.exit, 0, touched.lines.join("\n"));
    for (const machine of ["attic", "barn"]) {
      const names = await readdir(lab.machines.homeOf(machine));
      assert.ok(names.includes("state.sqlite"));
      assert.deepEqual(
        names.filter((name) => !isHomeName(name)),
        [],
      );
    }
    const ended = await lab.attic("uninstall", "--yes");
    assert.equal(ended.exit, 0, ended.lines.join("\n"));
    assert.doesNotMatch(ended.lines.join("\n"), /may still run/);
    assert.ok(!existsSync(lab.machines.homeOf("attic")), ended.lines.join("\n"));
  });
});
