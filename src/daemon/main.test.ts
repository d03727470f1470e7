import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DaemonLab } from "../../test/support/daemon-lab.ts";
import { systemClock } from "../base/index.ts";

const never = new AbortController().signal;
const main = new URL("./main.ts", import.meta.url).pathname;
const hasProc = process.platform === "linux" ? {} : { skip: "SKIPPED: names of processes are read from /proc" };

describe("the daemon as a program", { timeout: 30_000, ...hasProc }, () => {
  test("is called p2prc, also by whoever finds its port taken", async () => {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-main-"));
    const flags = ["--home", join(folder, "home"), "--lends", "--listen", "127.0.0.1", "--port", "0", "--no-lan"];
    const child = spawn(process.execPath, [main, ...flags], { stdio: ["ignore", "ignore", "inherit"] });
    try {
      const port = await listening(join(folder, "home", "log"));
      assert.match(await readFile(`/proc/${child.pid}/cmdline`, "utf8"), /^p2prc daemon --home /);
      await using machines = await DaemonLab.open();
      await assert.rejects(machines.start("barn", { config: { port } }), {
        code: "port-in-use",
        message: new RegExp(`p2prc \\(process ${child.pid}\\)`),
      });
    } finally {
      child.kill("SIGKILL");
      await once(child, "exit");
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** The port that it says in its log that it listens on. */
async function listening(log: string): Promise<number> {
  for (let tries = 0; tries < 200; tries++) {
    const said = /"listening":\["127\.0\.0\.1:(\d+)"\]/.exec(await readFile(log, "utf8").catch(() => ""));
    if (said !== null) return Number(said[1]);
    await systemClock.sleep(50, never);
  }
  throw new Error("it does not listen within 10 s");
}
