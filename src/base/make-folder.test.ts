import assert from "node:assert/strict";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { makeFolder } from "./make-folder.ts";

test("makeFolder makes what is missing, for its user alone, and is content with what is there", async () => {
  const root = await mkdtemp(join(tmpdir(), "p2prc-folder-"));
  const path = join(root, "a", "b");
  await makeFolder(path);
  await makeFolder(path);
  assert.equal((await stat(path)).mode & 0o777, 0o700);
  await rm(root, { recursive: true });
});

test("makeFolder ends where the system takes no folders", {
  skip: process.platform !== "linux",
  timeout: 5_000,
}, async () => {
  await assert.rejects(makeFolder("/proc/p2prc/home"), { code: "ENOENT" });
});
