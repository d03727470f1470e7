import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ResidentLab } from "../../../test/support/resident-lab.ts";

for (const how of ["socket", "stdio"] as const) {
  describe(`a resident on ${how}`, () => {
    test("keeps stdout, stderr and the exit code apart, and hands over stdin and its end", async () => {
      await using lab = await ResidentLab.open(how);
      const ran = await lab.run(["sh", "-c", "cat; echo problem >&2; exit 3"], {}, "in\n");
      assert.deepEqual(ran, { stdout: "in\n", stderr: "problem\n", end: { kind: "exited", code: 3 } });
    });
  });
}

describe("exec", () => {
  test("names the signal that ended a process", async () => {
    await using lab = await ResidentLab.open();
    const { end } = await lab.run(["sh", "-c", "kill -TERM $$"]);
    assert.deepEqual(end, { kind: "signalled", signal: "SIGTERM" });
  });

  test("says 127 and 126 with the reason, as shells do", async () => {
    await using lab = await ResidentLab.open();
    const missing = await lab.run(["no-such-program"]);
    assert.deepEqual(missing.end, { kind: "refused", code: 127, reason: "no such program: no-such-program" });
    const folder = await lab.run(["/"]);
    assert.deepEqual(folder.end, { kind: "refused", code: 126, reason: "it is a folder" });
    const text = await lab.run(["/etc/passwd"]);
    assert.deepEqual(text.end, { kind: "refused", code: 126, reason: "permission denied" });
  });
});
