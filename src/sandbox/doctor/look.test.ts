import assert from "node:assert/strict";
import { delimiter, dirname } from "node:path";
import { describe, test } from "node:test";
import { lookAround } from "./look.ts";

describe("lookAround", () => {
  test("finds what is on this machine, and is content with what is not", async () => {
    const path = ["/nowhere", dirname(process.execPath)].join(delimiter);
    const facts = await lookAround({ platform: process.platform, uid: 1000, user: "ada", path });
    assert.deepEqual([facts.uid, facts.user, facts.platform], [1000, "ada", process.platform]);
    if (process.platform === "linux") assert.ok(facts.files.has("/proc/self/cgroup"));
    for (const program of facts.programs) assert.match(program, /^[a-z0-9]+$/);
  });

  test("reads no file of Linux elsewhere", async () => {
    const facts = await lookAround({ platform: "darwin", uid: 501, user: "ada", path: "" });
    assert.equal(facts.files.size, 0);
  });
});
