import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { platform } from "node:process";
import { describe, test } from "node:test";
import { isRunning } from "./is-running.ts";

describe("whether a process runs", () => {
  test("is known of this one, of one that has ended, and of what is no number of a process", () => {
    assert.equal(isRunning(process.pid), true);
    const ended = Number(execFileSync(process.execPath, ["-p", "process.pid"], { encoding: "utf8" }));
    assert.deepEqual([ended, 0, -1, 1.5, Number.NaN].map(isRunning), [false, false, false, false, false]);
  });

  test("is no where it has ended and nobody took note", { skip: platform !== "linux" && "Linux tells" }, async () => {
    // The shell becomes a program that waits for no child.
    const parent = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
    const [line] = (await once(parent.stdout.setEncoding("utf8"), "data")) as [string];
    const pid = Number(line);
    while (isRunning(pid)) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.doesNotThrow(() => process.kill(pid, 0), "the control: its number is still taken");
    parent.kill("SIGKILL");
  });
});
