import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { systemClock } from "../../src/base/index.ts";
import { openHelper, residentCommand } from "../../src/sandbox/helper/open-helper.ts";
import { Inside } from "../../src/sandbox/inside/inside.ts";
import { Exec } from "../support/resident-lab.ts";

const { signal } = new AbortController();
const bwrap = spawnSync("bwrap", ["--unshare-user", "--ro-bind", "/", "/", "true"]);
const skip = bwrap.status === 0 ? false : "bwrap does not run here: apt-get install bubblewrap";
const NODE = residentCommand().slice(0, 4);

describe("a resident in an image with nothing in it", { skip }, () => {
  test("starts programs, as an unprivileged user, with nothing of ours in their environment", async () => {
    await using box = await EmptyBox.open();
    const { stdout, end } = await box.node("console.log(process.getuid(), Object.keys(process.env).sort().join())");
    assert.deepEqual(end, { kind: "exited", code: 0 });
    assert.equal(stdout, "10001 HOME,LANG,LOGNAME,PATH,SHELL,USER\n");
  });

  test("says that there is no shell", async () => {
    await using box = await EmptyBox.open();
    const { end } = await box.run([]);
    assert.equal(end?.kind === "refused" && end.code, 127);
  });

  test("gives terminals", async () => {
    await using box = await EmptyBox.open();
    const { stdout } = await box.node("console.log(String([process.stdout.isTTY, process.stdout.columns]))", {
      terminal: { columns: 90, rows: 30, type: "xterm" },
    });
    assert.equal(stdout, "true,90\r\n");
  });

  test("leaves the orphans of a command to an init that buries them", async () => {
    await using box = await EmptyBox.open();
    const orphan = `require("child_process").spawn(process.execPath, ${JSON.stringify([...NODE.slice(1), "-e", ""])}, {detached: true, stdio: "ignore"}).unref()`;
    await box.node(orphan);
    const count = `setTimeout(() => console.log(require("fs").readdirSync("/proc").filter(Number).filter((pid) => / Z /.test(require("fs").readFileSync("/proc/" + pid + "/stat"))).length), 500)`;
    assert.equal((await box.node(count)).stdout, "0\n");
  });

  test("sees from inside what holds: no capability, no network", async () => {
    await using box = await EmptyBox.open();
    const probe = await box.inside.probe(["192.0.2.1:80"], signal);
    assert.deepEqual([probe.uid, probe.capEff, probe.noNewPrivs], [10_001, "0000000000000000", "1"]);
    assert.equal(probe.dials["192.0.2.1:80"], "unreachable");
  });
});

/** Walls by hand: the helper, /proc, /dev and a writable /tmp. */
class EmptyBox implements AsyncDisposable {
  readonly inside: Inside;
  readonly #folder: string;
  readonly #process: ChildProcess;

  static async open(): Promise<EmptyBox> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-box-"));
    await mkdir(join(folder, "home"));
    const { path } = await openHelper(join(folder, "home"), {}, signal);
    const walls = [
      ...["--unshare-all", "--unshare-user", "--uid", "10001", "--gid", "10001", "--cap-drop", "ALL", "--clearenv"],
      ...["--ro-bind", path, "/.p2prc", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
    ];
    const child = spawn("bwrap", [...walls, ...residentCommand("--stdio")], { stdio: ["pipe", "pipe", "inherit"] });
    const below = Duplex.from({ readable: child.stdout, writable: child.stdin });
    return new EmptyBox(folder, child, await Inside.open(below, { clock: systemClock }, signal));
  }

  private constructor(folder: string, child: ChildProcess, inside: Inside) {
    this.#folder = folder;
    this.#process = child;
    this.inside = inside;
  }

  async run(argv: readonly string[], more: object = {}) {
    const exec = new Exec(await this.inside.exec({ argv, env: {}, ...more }, signal));
    return await exec.ended();
  }

  node(code: string, more: object = {}) {
    return this.run([...NODE, "-e", code], more);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exit = once(this.#process, "exit");
    await this.inside[Symbol.asyncDispose]();
    this.#process.kill("SIGKILL");
    await exit;
    await rm(this.#folder, { recursive: true, force: true });
  }
}
