/** What is behind the walls of a stranger's plugin, with the real bubblewrap, cannot use up this machine. */

import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { getuid } from "node:process";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { confine, countsApart, findBubblewrap } from "../../src/plugin/confine.ts";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";

const run = promisify(execFile);
const python = spawnSync("which", ["-a", "python3"], { encoding: "utf8" })
  .stdout.split("\n")
  .find((path) => path.startsWith("/usr/"));
const skip = bubblewrapSkip() || (python === undefined && "there is no python3 of the system");

/** Ends by itself: so many at most, each for a moment. */
const BOMB = `import os, time
made = 0
for _ in range(400):
    try:
        child = os.fork()
    except BlockingIOError:
        break
    if child == 0:
        time.sleep(3)
        os._exit(0)
    made += 1
print(made)
`;

describe("the walls around a plugin", { skip, timeout: 30_000 }, () => {
  test("hold so many processes, whatever else their user runs", async () => {
    const made = Number(await behind(BOMB, 100));
    assert.ok(made > 90 && made < 100, String(made));
    assert.equal(Number(await behind(BOMB, 1_000)), 400);
  });

  test("hold a process to its memory, and are the first to go where there is none left", async () => {
    const taking = 'try:\n    bytearray(3 << 30)\n    print("taken")\nexcept MemoryError:\n    print("none")\n';
    assert.equal(await behind(taking, 100), "none");
    assert.equal(await behind('print(open("/proc/self/oom_score_adj").read(), end="")', 100), "1000");
  });

  test("leave a kernel alone that counts all of a user's processes together", () => {
    const versions = ["5.10.0-32-amd64", "5.14.0-503.el9", "6.1.0", "4.18.0", "x"];
    assert.deepEqual(versions.map(countsApart), [false, true, true, false, false]);
  });
});

/** What a program says there. */
async function behind(program: string, maxProcesses: number): Promise<string> {
  const folder = await mkdtemp("/tmp/p2prc-walls-");
  try {
    const bwrap = await findBubblewrap(process.env["PATH"] ?? "");
    const { argv, user } = await confine({ bwrap, folder, program: python ?? "", maxProcesses }, getuid?.() ?? 0);
    const [, ...words] = [...argv, python ?? "", "-I", "-c", program];
    const { stdout } = await run(bwrap, words, { env: { PATH: "/usr/bin:/bin" }, ...user });
    return stdout.trim();
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
