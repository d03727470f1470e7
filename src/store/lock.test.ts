import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Child } from "../../test/support/child.ts";
import { type Home, lockHome, openHome } from "./index.ts";

describe("the lock of a home", () => {
  test("is held by one of two in one process, and the other hears by which", async () => {
    await using lab = await Lab.open();
    await using held = await lockHome(lab.home, 4711);
    await assert.rejects(lockHome(lab.home, 4712), { code: "home-in-use", message: /process 4711/ });
    await assert.rejects(lockHome(lab.home, 4713), { code: "home-in-use" }, "being refused does not loosen it");
    assert.ok(held);
  });

  test("is held by another process as long as that lives, and no longer", async () => {
    await using lab = await Lab.open();
    await using child = await lab.holder();
    await assert.rejects(lockHome(lab.home, process.pid), {
      code: "home-in-use",
      message: new RegExp(`process ${child.pid}`),
    });
    await child.kill();
    await using held = await lockHome(lab.home, process.pid);
    assert.equal(await readFile(lab.home.pid, "utf8"), `${process.pid}\n`);
    assert.ok(held);
  });

  test("is not kept by what the holder started", async () => {
    await using lab = await Lab.open();
    await using child = await lab.holder(`
      import { spawn } from "node:child_process";
      const grandchild = spawn("sleep", ["30"], { stdio: "ignore", detached: true });
      console.log(grandchild.pid);
    `);
    const grandchild = lab.started;
    await child.kill();
    await using held = await lockHome(lab.home, process.pid);
    assert.ok(held);
    process.kill(grandchild, "SIGKILL");
  });

  test("goes to exactly one of eight processes that start at once over what a killed one left", async () => {
    await using lab = await Lab.open();
    const first = await lab.holder();
    await first.kill();
    await using stack = new AsyncDisposableStack();
    const children = await Promise.all(
      Array.from({ length: 8 }, () => Child.start(lab.code("console.log('held')", "console.log('refused')"))),
    );
    for (const child of children) stack.use(child);
    const said = await Promise.all(children.map((child) => child.line()));
    assert.deepEqual(said.sort(), ["held", ...Array.from({ length: 7 }, () => "refused")]);
  });

  test("clears away the socket and the unfinished files of one that was killed", async () => {
    await using lab = await Lab.open();
    const child = await lab.holder(`
      import { createServer } from "node:net";
      await new Promise((listening) => createServer().listen(home.socket, listening));
    `);
    await child.kill();
    await writeFile(join(lab.home.path, ".ip_table.json.0123456789ab.tmp"), "half");
    assert.ok((await readdir(lab.home.path)).includes("socket"));
    await using held = await lockHome(lab.home, process.pid);
    assert.deepEqual((await readdir(lab.home.path)).sort(), ["lock.sqlite", "pid", "run"]);
    const server = createServer();
    await new Promise<void>((listening) => server.listen(lab.home.socket, listening));
    await new Promise((closed) => server.close(closed));
    assert.ok(held);
  });

  test("is free again after it was let go, twice if need be", async () => {
    await using lab = await Lab.open();
    const held = await lockHome(lab.home, 1);
    await held[Symbol.asyncDispose]();
    await held[Symbol.asyncDispose]();
    await using again = await lockHome(lab.home, 2);
    assert.ok(again);
    assert.equal((await stat(lab.home.lock)).mode & 0o777, 0o600);
  });

  test("says what to do when its file is damaged", async () => {
    await using lab = await Lab.open();
    await writeFile(lab.home.lock, "junk".repeat(1_000));
    await assert.rejects(lockHome(lab.home, 1), { code: "home-unusable", hint: /rm '/ });
  });
});

class Lab implements AsyncDisposable {
  readonly home: Home;
  /** The process that the holder's own lines started. */
  started = 0;

  static async open(): Promise<Lab> {
    const path = await mkdtemp(join(tmpdir(), "p2prc-lock-"));
    return new Lab(
      await openHome(path, {
        platform: "linux",
        uid: process.getuid?.(),
        runtimeFolder: undefined,
        tempFolder: tmpdir(),
      }),
    );
  }

  private constructor(home: Home) {
    this.home = home;
  }

  /** A process that holds the lock and then runs `more`. */
  async holder(more = ""): Promise<Child> {
    const child = await Child.start(this.code(`${more}\nconsole.log("ready")`, "process.exit(1)"));
    for (let line = await child.line(); line !== "ready"; line = await child.line()) this.started = Number(line);
    return child;
  }

  code(held: string, refused: string): string {
    const imports = [...held.matchAll(/^\s*import .*$/gm)].map((match) => match[0]);
    return `
      ${imports.join("\n")}
      import { lockHome } from "${new URL("./index.ts", import.meta.url).href}";
      const home = ${JSON.stringify(this.home)};
      try { globalThis.lock = await lockHome(home, process.pid); ${held.replaceAll(/^\s*import .*$/gm, "")} }
      catch (error) { if (error.code !== "home-in-use") throw error; ${refused} }
      setInterval(() => {}, 1000);
    `;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.home.path, { recursive: true, force: true });
  }
}
