import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { seededRandom } from "../../base/index.ts";
import { openClientKey } from "./client-key.ts";
import { opensshKey } from "./openssh-key.ts";

const run = promisify(execFile);
const SSH_KEYGEN = await run("ssh-keygen", ["-?"]).then(
  () => true,
  (error: { code?: unknown }) => error.code !== "ENOENT",
);

describe("a key as OpenSSH keeps it", () => {
  test("is read by ssh-keygen, which finds the same public half", {
    skip: !SSH_KEYGEN && "no ssh-keygen here",
  }, async () => {
    await using lab = await Lab.open();
    const { path, publicLine } = await openClientKey({ home: lab.folder, seed: seededRandom(1).bytes(32) });
    const { stdout } = await run("ssh-keygen", ["-y", "-f", path]);
    assert.equal(stdout.trim(), publicLine);
  });

  test("is the same for the same seed, and says nothing of it", async () => {
    await using lab = await Lab.open();
    const seed = seededRandom(2).bytes(32);
    const first = await openClientKey({ home: lab.folder, seed });
    const file = await readFile(first.path, "utf8");
    assert.equal((await openClientKey({ home: lab.folder, seed })).publicLine, first.publicLine);
    const bytes = Buffer.from(file.replace(/-----[A-Z ]+-----/g, ""), "base64");
    assert.equal(bytes.includes(Buffer.from(seed)), false);
    assert.equal((await stat(first.path)).mode & 0o777, 0o600);
  });

  test("takes 32 bytes and a check of 4", () => {
    assert.throws(() => opensshKey(new Uint8Array(31), new Uint8Array(4)), RangeError);
    assert.throws(() => opensshKey(new Uint8Array(32), new Uint8Array(3)), RangeError);
    const { publicLine, privateFile } = opensshKey(new Uint8Array(32), new Uint8Array(4));
    assert.match(publicLine, /^ssh-ed25519 [A-Za-z0-9+/]{68}$/);
    for (const line of privateFile.split("\n")) assert.ok(line.length <= 70);
  });
});

class Lab implements AsyncDisposable {
  readonly folder: string;

  static async open(): Promise<Lab> {
    return new Lab(await mkdtemp(join(tmpdir(), "p2prc-ssh-key-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.folder, { recursive: true, force: true });
  }
}
