import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, test } from "node:test";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { LendingLab } from "../support/lending-lab.ts";
import { EXAMPLES, runExample, touchFarm } from "../support/run-example.ts";

/** Below /usr, which sandboxes without an image see. */
const MPICH = "/usr/local/lib/mpich";

describe("MPI", { skip: whyNot(), timeout: 300_000 }, () => {
  test("passes a million numbers around and adds up over three sandboxes without a network", async () => {
    await using lab = await LendingLab.open();
    const touched = await touchFarm(lab);
    assert.equal(touched.exit, 0, touched.lines.join("\n"));
    const words = ["mpi.sh", "farm", join(EXAMPLES, "mpi-sum.py")] as const;
    const { out, err, code } = await runExample(lab, words, { MPICH });
    assert.equal(code, 0, err);
    assert.equal(out, "ranks 3, ring 6, sum 14\n");
    assert.deepEqual(err.match(/^rank \d on box\d$/gm)?.toSorted(), [
      "rank 0 on box1",
      "rank 1 on box2",
      "rank 2 on box3",
    ]);
    assert.equal((await lab.barn("group", "tunnel", "farm")).exit, 3);
  });
});

function whyNot(): string | false {
  const { stdout } = spawnSync(join(MPICH, "bin/mpichversion"), { encoding: "utf8" });
  if (/^MPICH Device:.*\bofi\b/m.test(stdout ?? "")) return bubblewrapSkip();
  return `SKIPPED: no MPICH with libfabric: python3 -m venv ${MPICH} && ${MPICH}/bin/pip install mpich`;
}
