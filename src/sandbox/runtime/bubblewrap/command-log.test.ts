import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFile, mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../../test/support/virtual-clock.ts";
import { systemClock } from "../../../base/index.ts";
import { MAX_LOG_BYTES } from "../../resident/beside.ts";
import { parseSandboxId } from "../sandbox-id.ts";
import { readLog } from "./command-log.ts";
import { SandboxFolder } from "./sandbox-folder.ts";

const { signal } = new AbortController();

describe("readLog", () => {
  test("begins with the last lines, over both files", async () => {
    await using lab = await Lab.open();
    await writeFile(lab.path("command.log.1"), "one\ntwo\n");
    await writeFile(lab.path("command.log"), "three\nfour\n");
    assert.equal(await lab.last(3), "two\nthree\nfour\n");
    assert.equal(await lab.last(100), "one\ntwo\nthree\nfour\n");
    assert.equal(await lab.last(0), "");
  });

  test("is empty where there is no log yet", async () => {
    await using lab = await Lab.open();
    assert.equal(await lab.last(10), "");
  });

  test("follows no link and opens no pipe", async () => {
    await using lab = await Lab.open();
    await writeFile(join(lab.root, "secret"), "secret\n");
    await symlink(join(lab.root, "secret"), lab.path("command.log"));
    execFileSync("mkfifo", [lab.path("command.log.1")]);
    assert.equal(await lab.last(10), "");
  });

  test("follows no link in the place of the folder", async () => {
    await using lab = await Lab.open();
    await mkdir(join(lab.root, "elsewhere"));
    await writeFile(join(lab.root, "elsewhere", "command.log"), "secret\n");
    await rm(join(lab.folder.layer, "log"), { recursive: true });
    await symlink(join(lab.root, "elsewhere"), join(lab.folder.layer, "log"));
    assert.equal(await lab.last(10), "");
  });

  test("reads no more of a file than there should be in it", async () => {
    await using lab = await Lab.open();
    await writeFile(lab.path("command.log"), "");
    await truncate(lab.path("command.log"), 50 * MAX_LOG_BYTES);
    const read = readLog(lab.folder, { follow: false, lines: 1 }, { deps: lab.deps, signal });
    assert.equal((await text(read)).length, MAX_LOG_BYTES);
  });

  test("goes on with what is written later, also after the file was changed for a new one", async () => {
    await using lab = await Lab.open();
    await writeFile(lab.path("command.log"), "one\n");
    const reading = text(readLog(lab.folder, { follow: true, lines: 10 }, { deps: lab.deps, signal }));
    await lab.pass();
    await appendFile(lab.path("command.log"), "two\n");
    await lab.pass();
    await appendFile(lab.path("command.log"), "three\n");
    await rename(lab.path("command.log"), lab.path("command.log.1"));
    await writeFile(lab.path("command.log"), "four\n");
    await lab.pass();
    lab.lives = false;
    await lab.pass();
    assert.equal(await reading, "one\ntwo\nthree\nfour\n");
  });
});

class Lab implements AsyncDisposable {
  readonly root: string;
  readonly folder: SandboxFolder;
  readonly #clock = new VirtualClock();
  lives = true;

  static async open(): Promise<Lab> {
    const lab = new Lab(await mkdtemp(join(tmpdir(), "p2prc-log-")));
    await mkdir(join(lab.folder.layer, "log"), { recursive: true });
    return lab;
  }

  private constructor(root: string) {
    this.root = root;
    this.folder = new SandboxFolder(root, parseSandboxId("a".repeat(16)));
  }

  get deps() {
    return { clock: this.#clock, lives: async () => this.lives };
  }

  path(name: string): string {
    return join(this.folder.layer, "log", name);
  }

  last(lines: number): Promise<string> {
    return text(readLog(this.folder, { follow: false, lines }, { deps: this.deps, signal }));
  }

  /** Until it sleeps, and then one sleep further: it reads files, which takes real time. */
  async pass(): Promise<void> {
    for (let turn = 0; turn < 400 && this.#clock.sleeperCount === 0; turn++) {
      await systemClock.sleep(5, signal);
    }
    await this.#clock.advance(200);
    for (let turn = 0; turn < 400 && this.lives && this.#clock.sleeperCount === 0; turn++) {
      await systemClock.sleep(5, signal);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}
