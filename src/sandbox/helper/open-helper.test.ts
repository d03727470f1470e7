import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, readdir, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { forgetHelpers, openHelper, residentCommand } from "./open-helper.ts";

const { signal } = new AbortController();

describe("the helper", () => {
  test("is built once, and found again as it is", async () => {
    await using home = await Home.open();
    const first = await openHelper(home.path, {}, signal);
    const made = await stat(join(first.path, "bin/node"));
    const again = await openHelper(home.path, {}, signal);
    assert.deepEqual(again, first);
    assert.equal((await stat(join(again.path, "bin/node"))).ino, made.ino);
    assert.deepEqual(await readdir(join(home.path, "helper")), [first.digest]);
  });

  test("holds a Node that runs with nothing of the system around it", async () => {
    await using home = await Home.open();
    const { path } = await openHelper(home.path, {}, signal);
    const command = residentCommand("--check").map((word) => word.replaceAll("/.p2prc", path));
    execFileSync(command[0] ?? "", command.slice(1), { env: {}, cwd: "/" });
  });

  test("can be read by anybody, whatever our umask is", async () => {
    await using home = await Home.open();
    const umask = process.umask(0o077);
    const { path } = await openHelper(home.path, {}, signal).finally(() => process.umask(umask));
    const entries = await readdir(path, { recursive: true });
    const modes = await Promise.all(entries.map(async (entry) => (await stat(join(path, entry))).mode & 0o004));
    assert.deepEqual(new Set(modes), new Set([0o004]));
  });

  test("says what to install where there is no sshd, and does without", async () => {
    await using home = await Home.open();
    const { ssh, problems } = await openHelper(home.path, { sshdPlaces: ["/nowhere/sshd"] }, signal);
    assert.equal(ssh, false);
    assert.match(problems.join(), /OpenSSH's server is not installed.*`sudo .* openssh/u);
  });

  test("leaves nothing half-built behind when it is aborted", async () => {
    await using home = await Home.open();
    const stop = new AbortController();
    const opening = openHelper(home.path, {}, stop.signal);
    setImmediate(() => stop.abort(new Error("stop")));
    await assert.rejects(opening);
    assert.deepEqual(await readdir(join(home.path, "helper")).catch(() => []), []);
  });

  test("forgets what no sandbox sees any more", async () => {
    await using home = await Home.open();
    const old = await openHelper(home.path, { sshdPlaces: [] }, signal);
    const kept = await openHelper(home.path, {}, signal);
    await forgetHelpers(home.path, new Set([kept.digest]));
    assert.notEqual(old.digest, kept.digest);
    assert.deepEqual(await readdir(join(home.path, "helper")), [kept.digest]);
  });
});

class Home implements AsyncDisposable {
  readonly path: string;

  static async open(): Promise<Home> {
    return new Home(await mkdtemp(join(tmpdir(), "p2prc-helper-")));
  }

  private constructor(path: string) {
    this.path = path;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}
