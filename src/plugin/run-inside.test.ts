import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { platform } from "node:process";
import { afterEach, beforeEach, describe, test } from "node:test";
import { promisify } from "node:util";
import { endCommands, markRun, putKey, runsIn, takeKeys } from "./run-inside.ts";

const skip = platform !== "linux" && "sandboxes are Linux";
const OWN = `restrict,pty,port-forwarding ssh-ed25519 ${"A".repeat(68)}\n`;
const run = promisify(execFile);
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "p2prc-inside-"));
  await writeFile(join(folder, "authorized_keys"), OWN);
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

const shells = [["sh"], ["busybox", "sh"]].filter(([file = "", ...words]) => {
  return spawnSync(file, [...words, "-c", "true"]).status === 0;
});
for (const shell of shells) {
  describe(`the keys of runs, in ${shell.join(" ")}`, { skip }, () => {
    test("are put there with the names of their runs, and taken away by them", async () => {
      assert.deepEqual(runsIn(await inside(shell, put("first"))), ["first"]);
      assert.deepEqual(runsIn(await inside(shell, put("second"))), ["first", "second"]);
      assert.match(await keys(), /^restrict,expiry-time="202601020200" ssh-ed25519 B+ p2prc-run:first$/mu);
      await inside(shell, takeKeys(["first", "another"]));
      assert.match(await keys(), /^restrict,pty.* A+\nrestrict,expiry-time=.* p2prc-run:second\n$/u);
      await inside(shell, takeKeys(["second"]));
      assert.equal(await keys(), OWN);
    });

    test("come and go side by side, and none is lost", async () => {
      const names = Array.from({ length: 8 }, (_, index) => `run-${index}`);
      await Promise.all(names.map((name) => inside(shell, put(name))));
      const [odd, even] = [names.filter((_, index) => index % 2 === 1), names.filter((_, index) => index % 2 === 0)];
      const more = ["more-1", "more-2"];
      await Promise.all([
        ...odd.map((name) => inside(shell, takeKeys([name]))),
        ...more.map((name) => inside(shell, put(name))),
      ]);
      assert.deepEqual(runsIn(await keys()).toSorted(), [...more, ...even].toSorted());
      assert.deepEqual(await readdir(folder), ["authorized_keys"]);
    });

    test("stay as they are where nothing can be written", async () => {
      await inside(shell, put("first"));
      const before = await keys();
      await inside(shell, `ulimit -f 0; ${takeKeys(["first"])}`).catch(() => undefined);
      assert.deepEqual([await keys(), await readdir(folder)], [before, ["authorized_keys"]]);
    });
  });

  describe(`commands of a run, in ${shell.join(" ")}`, { skip }, () => {
    test("end where somebody waits for them, and nothing else does", { timeout: 10_000 }, async () => {
      const stubborn = "trap '' INT TERM HUP; sleep 60 & sleep 60; wait";
      using waited = new Command(stubborn, { run: "one", stdout: "pipe" });
      using background = new Command(stubborn, { run: "one", stdout: "ignore" });
      using another = new Command(stubborn, { run: "two", stdout: "pipe" });
      using own = new Command(stubborn, { run: undefined, stdout: "pipe" });
      await Promise.all([waited, background, another, own].map(async ({ child }) => await once(child, "spawn")));
      const ended = once(waited.child, "exit");
      // The shell has to have come to its sleep.
      while ((await inside(shell, `cat /proc/${waited.child.pid}/task/*/children`)).trim().split(" ").length < 2);
      const sleeping = (await inside(shell, `cat /proc/${waited.child.pid}/task/*/children`)).trim().split(" ");
      await inside(shell, endCommands("one"));
      assert.deepEqual(await ended, [null, "SIGKILL"]);
      while ((await Promise.all(sleeping.map(words))).some((said) => said !== "")); // none is left
      for (const { child } of [background, another, own])
        assert.deepEqual([child.exitCode, child.signalCode], [null, null]);
    });
  });
}

describe("the mark of a run", () => {
  test("is a variable that sshd of a sandbox takes", () => {
    assert.equal(markRun("20260101T000000-01020304"), "SetEnv LC_P2PRC_RUN=20260101T000000-01020304");
  });

  test("is read out of whatever a sandbox says", () => {
    assert.deepEqual(runsIn("p2prc-run:a b\np2prc-run:$(x)\nno\np2prc-run:\n"), []);
    assert.equal(runsIn("p2prc-run:a\n".repeat(1_000)).length, 100);
  });
});

function put(name: string): string {
  return putKey({ run: name, publicLine: `ssh-ed25519 ${"B".repeat(68)}`, untilMs: Date.UTC(2026, 0, 1) });
}

/** What a line says, with the folder in the place of the sandbox's. */
async function inside([file = "", ...words]: readonly string[], line: string): Promise<string> {
  const { stdout } = await run(file, [...words, "-c", line.replaceAll("/run/p2prc", folder)]);
  return stdout;
}

/** What it was started with. Empty: it has ended. */
async function words(pid: string): Promise<string> {
  return await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
}

async function keys(): Promise<string> {
  return await readFile(join(folder, "authorized_keys"), "utf8");
}

/** As sshd starts them: the first of a session. */
class Command implements Disposable {
  readonly child: ChildProcess;

  constructor(
    line: string,
    { run: name, stdout }: { readonly run: string | undefined; readonly stdout: "pipe" | "ignore" },
  ) {
    const env = { PATH: process.env["PATH"], ...(name === undefined ? {} : { LC_P2PRC_RUN: name }) };
    this.child = spawn("sh", ["-c", line], { detached: true, stdio: ["ignore", stdout, "ignore"], env });
  }

  [Symbol.dispose](): void {
    try {
      if (this.child.pid !== undefined) process.kill(-this.child.pid, "SIGKILL");
    } catch {
      // it has ended
    }
  }
}
