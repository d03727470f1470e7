import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import {
  appendFile,
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readFile,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

const root = join(import.meta.dirname, "..", "..");

describe("./p2prc in a fresh clone", { timeout: 180_000 }, () => {
  test("installs once when two start at the same time, with an old Node first in PATH", async () => {
    await using clone = await Clone.open({ whole: true });
    await clone.program(
      "node",
      `#!/bin/sh\n[ "$1" = --version ] && echo v18.20.0 || exec "${process.execPath}" "$@"\n`,
    );
    const env = { PATH: `${clone.bin}:${folderOf("npm")}:/usr/local/bin:/usr/bin:/bin` };
    const both = await Promise.all([clone.run(["--version"], { env }), clone.run(["--version"], { env })]);
    const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8")) as { version: string };
    for (const { code, stdout } of both) assert.deepEqual([code, stdout.includes(version)], [0, true]);
    assert.equal(both.filter(({ stderr }) => stderr.includes("installing the libraries")).length, 1);

    const warm = await clone.run(["--version"], { env });
    assert.deepEqual(warm, { code: 0, stdout: both[0]?.stdout, stderr: "" });
  });
});

describe("./p2prc", { timeout: 60_000 }, () => {
  test("hands words and folder on to one process, its own", async () => {
    await using clone = await Clone.open();
    await clone.run([]);
    const child = clone.start(["ls", "two words", ""], { folder: "/" });
    const { stdout, stderr } = await finished(child);
    assert.equal(stderr, "");
    assert.deepEqual(JSON.parse(stdout), { pid: child.pid, words: ["ls", "two words", ""], folder: "/" });
  });

  test("runs through links to links, relative ones too, and by a name in PATH", async () => {
    await using clone = await Clone.open();
    await symlink("../the clone/p2prc", join(clone.bin, "inner"));
    await symlink(join(clone.bin, "inner"), join(clone.bin, "p2prc"));
    const started = await finished(spawn("p2prc", ["ls"], { env: clone.environment({}), cwd: "/" }));
    assert.deepEqual((JSON.parse(started.stdout) as Probe).words, ["ls"]);
    const named = await finished(spawn("sh", ["p2prc", "ls"], { env: clone.environment({}), cwd: clone.folder }));
    assert.deepEqual((JSON.parse(named.stdout) as Probe).words, ["ls"]);
  });

  test("is not disturbed by what NODE_OPTIONS and npm's settings say", async () => {
    await using clone = await Clone.open();
    const env = { NODE_OPTIONS: "--require /nowhere.js", NODE_PATH: "/nowhere", npm_config_global: "true" };
    assert.equal((await clone.run([], { env })).code, 0);
    assert.equal((await clone.run([], { env })).code, 0);
    assert.match(await clone.calls(), /^ci .*--no-global .*--omit=dev\n$/);
  });

  test("installs again when the lock file says something else, and only then", async () => {
    await using clone = await Clone.open();
    await clone.run([]);
    const lock = join(clone.folder, "package-lock.json");
    await utimes(lock, 1, 1);
    assert.equal((await clone.run([])).stderr, "");
    await writeFile(lock, (await readFile(lock, "utf8")).replace('"version": "1.0.0"', '"version": "1.0.1"'));
    assert.match((await clone.run([])).stderr, /installing the libraries/);
    assert.equal((await clone.run([])).stderr, "");
    assert.equal((await clone.calls()).split("\n").length - 1, 2);
  });

  test("installs again what was broken off", async () => {
    await using clone = await Clone.open();
    await clone.run([]);
    await unlink(join(clone.folder, "node_modules", ".package-lock.json"));
    await unlink(join(clone.folder, "node_modules", ".p2prc-lock"));
    assert.match((await clone.run([])).stderr, /installing the libraries/);
  });

  test("keeps what ./check has installed", async () => {
    await using clone = await Clone.open();
    await mkdir(join(clone.folder, "node_modules", "typescript"), { recursive: true });
    await clone.run([]);
    assert.match(await clone.calls(), /--include=dev/);
  });

  test("looks for another Node when the one it knew is gone", async () => {
    await using clone = await Clone.open();
    await clone.run([]);
    await writeFile(join(clone.folder, "node_modules", ".p2prc-node"), "/nowhere/node\n");
    const { code, stderr } = await clone.run([]);
    assert.deepEqual([code, stderr], [0, ""]);
  });

  test("waits for an npm whose launcher was killed", async () => {
    await using clone = await Clone.open({ npm: "echo start >>calls; sleep 1; echo end >>calls" });
    const first = clone.start([]);
    await clone.called("start");
    first.kill("SIGKILL");
    assert.equal((await clone.run([])).code, 0);
    assert.equal(await clone.calls(), "start\nend\n");
  });

  test("takes turns without flock, and past a lock whose owner is dead", async () => {
    await using clone = await Clone.open({ npm: "echo start >>calls; sleep 1; echo end >>calls" });
    for (const name of ["sh", "readlink", "touch", "mv", "rm", "ln", "sleep", "cp", "mkdir"]) {
      await symlink(`/bin/${name}`, join(clone.bin, name));
    }
    await symlink("999999999", join(clone.folder, ".install.lock"));
    const env = { PATH: clone.bin };
    const both = await Promise.all([clone.run([], { env }), clone.run([], { env })]);
    assert.deepEqual(
      both.map(({ code }) => code),
      [0, 0],
    );
    assert.equal(await clone.calls(), "start\nend\n");
  });

  test("says what to do when npm fails", async () => {
    await using clone = await Clone.open({ npm: "echo 'npm error network' >&2; exit 1" });
    const { code, stdout, stderr } = await clone.run([]);
    assert.deepEqual([code, stdout], [5, ""]);
    assert.match(stderr, /npm error network\np2prc: npm could not install the libraries\nhint: is there a network/);
  });

  test("says what to do when there is no npm", async () => {
    await using clone = await Clone.open();
    await unlink(join(clone.bin, "npm"));
    for (const name of ["sh", "touch", "mv"]) await symlink(`/bin/${name}`, join(clone.bin, name));
    const { code, stderr } = await clone.run([], { env: { PATH: clone.bin } });
    assert.equal(code, 5);
    assert.match(stderr, /^p2prc: there is no npm.*\nhint: install Node 24/);
  });

  test("says so when HOME is not set or of no use", async () => {
    await using clone = await Clone.open();
    const unset = await clone.run([], { env: { HOME: undefined } });
    assert.deepEqual(
      [unset.code, unset.stderr.split("\n")[0]],
      [5, "p2prc: HOME is not set, and npm keeps its cache there"],
    );
    const gone = await clone.run([], { env: { HOME: "/nowhere" } });
    assert.equal(gone.code, 5);
    assert.match(gone.stderr, /^p2prc: cannot write in \/nowhere \(HOME\)/);
  });

  test("says so when its folder cannot be written, and runs there once it is installed", async () => {
    await using clone = await Clone.open();
    const stranger = await clone.run([], { folder: clone.folder, stranger: true });
    assert.equal(stranger.code, 5);
    assert.match(stranger.stderr, /^p2prc: cannot write in .*the clone, where the libraries/);
    await clone.run([]);
    await utimes(join(clone.folder, "package-lock.json"), 1, 1);
    const installed = await clone.run([], { folder: clone.folder, stranger: true });
    assert.deepEqual([installed.code, installed.stderr], [0, ""]);
  });
});

interface Probe {
  readonly pid: number;
  readonly words: readonly string[];
  readonly folder: string;
}

interface How {
  readonly env?: NodeJS.ProcessEnv;
  readonly folder?: string;
  /** As somebody whom nothing there belongs to. */
  readonly stranger?: boolean;
}

interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A copy of what a clone has, in a folder with a space. Unless `whole`, its program and its npm are pretended. */
class Clone implements AsyncDisposable {
  readonly bin: string;
  readonly folder: string;
  readonly #place: string;

  static async open({ whole = false, npm = 'echo "$@" >>calls' } = {}): Promise<Clone> {
    const clone = new Clone(await mkdtemp(join(tmpdir(), "p2prc-launcher-")));
    await chmod(clone.#place, 0o755);
    await mkdir(clone.bin);
    await mkdir(clone.folder);
    await (whole ? clone.#copyAll() : clone.#pretend(npm));
    return clone;
  }

  private constructor(place: string) {
    this.#place = place;
    this.bin = join(place, "bin");
    this.folder = join(place, "the clone");
  }

  /** An executable that comes first in PATH. */
  async program(name: string, script: string): Promise<void> {
    await writeFile(join(this.bin, name), script, { mode: 0o755 });
  }

  /** What the pretended npm was called with. */
  async calls(): Promise<string> {
    return await readFile(join(this.folder, "calls"), "utf8").catch(() => "");
  }

  async called(word: string): Promise<void> {
    for (let tries = 0; !(await this.calls()).includes(word); tries++) {
      if (tries > 500) throw new Error(`npm was not called: ${word}`);
      await sleep(20);
    }
  }

  environment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
    return { PATH: `${this.bin}:/usr/bin:/bin`, HOME: process.env["HOME"], ...env };
  }

  start(words: readonly string[], { env = {}, folder, stranger = false }: How = {}): ChildProcess {
    const nobody = stranger && process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
    const options = { env: this.environment(env), cwd: folder, ...nobody };
    return spawn(join(this.folder, "p2prc"), [...words], { ...options, stdio: ["ignore", "pipe", "pipe"] });
  }

  async run(words: readonly string[], how?: How): Promise<Finished> {
    return await finished(this.start(words, how));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#place, { recursive: true, force: true, maxRetries: 5 });
  }

  async #copyAll(): Promise<void> {
    const parts = ["p2prc", "package.json", "package-lock.json", ".npmrc", "src", "tools"];
    const isOurs = (path: string) => !path.includes("node_modules");
    for (const part of parts) await cp(join(root, part), join(this.folder, part), { recursive: true, filter: isOurs });
  }

  async #pretend(npm: string): Promise<void> {
    for (const part of ["p2prc", "tools/setup.sh", "tools/installed.mjs"]) {
      await cp(join(root, part), join(this.folder, part));
    }
    const library = { version: "1.0.0", integrity: "sha512-x" };
    const packages = { "": {}, "node_modules/library": library, "node_modules/tool": { ...library, dev: true } };
    await writeFile(join(this.folder, "package-lock.json"), JSON.stringify({ packages }, undefined, 2));
    await mkdir(join(this.folder, "src", "cli"), { recursive: true });
    await appendFile(
      join(this.folder, "src", "cli", "bin.ts"),
      "console.log(JSON.stringify({ pid: process.pid, words: process.argv.slice(2), folder: process.cwd() as string }));",
    );
    await symlink(process.execPath, join(this.bin, "node"));
    const done = "mkdir -p node_modules && cp package-lock.json node_modules/.package-lock.json";
    await this.program("npm", `#!/bin/sh\n${npm}\necho "added 2 packages"\n${done}\n`);
  }
}

function folderOf(program: string): string {
  const folders = (process.env["PATH"] ?? "").split(delimiter);
  return folders.find((folder) => existsSync(join(folder, program))) ?? "/usr/bin";
}

async function finished(child: ChildProcess): Promise<Finished> {
  const read = (stream: ChildProcess["stdout"]) => (stream === null ? Promise.resolve("") : text(stream));
  const [stdout, stderr, [code]] = await Promise.all([read(child.stdout), read(child.stderr), once(child, "close")]);
  return { code: code as number | null, stdout, stderr };
}
