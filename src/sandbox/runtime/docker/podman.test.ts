import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openPodmanWays, parseMaxProcesses } from "./podman.ts";
import { seccompProfile } from "./seccomp.ts";

describe("what Podman is told", () => {
  test("is the same filter, in a file that stays", async () => {
    const home = await mkdtemp(join(tmpdir(), "p2prc-podman-"));
    try {
      const { seccompFile, maxProcesses } = await openPodmanWays(home);
      assert.deepEqual(JSON.parse(await readFile(seccompFile, "utf8")), JSON.parse(JSON.stringify(seccompProfile())));
      assert.ok(maxProcesses > 0);
    } finally {
      await rm(home, { recursive: true });
    }
  });

  test("is no more processes than this machine gives it", () => {
    const limits = (hard: string) =>
      `Max file size  unlimited  unlimited  bytes\nMax processes   500   ${hard}   processes\n`;
    assert.equal(parseMaxProcesses(limits("15000")), 15_000);
    assert.equal(parseMaxProcesses(limits("unlimited")), 1_048_576);
    assert.equal(parseMaxProcesses(limits("9999999")), 1_048_576);
  });
});
