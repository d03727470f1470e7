import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { LogFile } from "./log-file.ts";
import { pinoLog } from "./pino-log.ts";

describe("LogFile", () => {
  test("gives the last lines, and is for its owner's eyes", async () => {
    await using lab = await Lab.open();
    for (const word of ["one", "two", "three"]) lab.file.write(`${word}\n`);
    assert.deepEqual(await lab.file.tail(2), ["two", "three"]);
    assert.deepEqual([await lab.file.tail(0), (await lab.file.tail(99)).length], [[], 3]);
    assert.equal(statSync(lab.path).mode & 0o777, 0o600);
  });

  test("tells each line to whoever follows", async () => {
    await using lab = await Lab.open();
    const heard: string[] = [];
    using _following = lab.file.lines.on((line) => heard.push(line));
    lab.file.write("one\n");
    assert.deepEqual(heard, ["one"]);
  });

  test("begins anew at 10 MB and keeps four older ones", async () => {
    await using lab = await Lab.open();
    const line = `${"x".repeat(999_999)}\n`;
    for (let i = 0; i < 75; i++) lab.file.write(line);
    const kept = [0, 1, 2, 3, 4, 5, 6].map((n) => existsSync(n === 0 ? lab.path : `${lab.path}.${n}`));
    assert.deepEqual(kept, [true, true, true, true, true, false, false]);
    assert.ok(statSync(lab.path).size <= 10_000_000);
    assert.equal(statSync(`${lab.path}.4`).size, 10_000_000);
  });

  test("goes on where an earlier life stopped", async () => {
    await using lab = await Lab.open("before\n");
    lab.file.write("after\n");
    assert.equal(readFileSync(lab.path, "utf8"), "before\nafter\n");
  });

  test("loses lines on a full disk, counts them, and never fails", async () => {
    const file = new LogFile("/dev/full");
    const heard: string[] = [];
    file.lines.on((line) => heard.push(line));
    file.write("lost\n");
    assert.deepEqual([file.lost, heard], [1, ["lost"]]);
    file[Symbol.dispose]();
  });
});

describe("what is logged", () => {
  test("is a line of JSON with its level, its time and its facts, without secrets", async () => {
    const lines: string[] = [];
    const log = pinoLog({ write: (line) => void lines.push(line) }, "info");
    log.debug("not at this level");
    log.with({ room: "access" }).warn("invite issued", { token: "abc", node: { seed: "def" }, uses: 1 });
    assert.equal(lines.length, 1);
    const { time, ...rest } = JSON.parse(lines[0] ?? "") as Record<string, unknown>;
    assert.match(String(time), /^\d{4}-\d\d-\d\dT/);
    assert.deepEqual(rest, {
      level: "warn",
      room: "access",
      msg: "invite issued",
      token: "(secret)",
      node: { seed: "(secret)" },
      uses: 1,
    });
  });

  test("shows which invite it was, never the invite", () => {
    const lines: string[] = [];
    pinoLog({ write: (line) => void lines.push(line) }, "info").info("invite used", {
      inviteId: "i7",
      invite: "p2prc://x",
    });
    assert.match(lines[0] ?? "", /"inviteId":"i7","invite":"\(secret\)"/);
  });
});

class Lab implements AsyncDisposable {
  readonly file: LogFile;
  readonly path: string;
  readonly #folder: string;

  static async open(content?: string): Promise<Lab> {
    return new Lab(await mkdtemp(join(tmpdir(), "p2prc-log-")), content);
  }

  private constructor(folder: string, content: string | undefined) {
    this.#folder = folder;
    this.path = join(folder, "log");
    if (content !== undefined) writeFileSync(this.path, content);
    this.file = new LogFile(this.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.file[Symbol.dispose]();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
