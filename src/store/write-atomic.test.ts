import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { Child } from "../../test/support/child.ts";
import { TinyDisk } from "../../test/support/tiny-disk.ts";
import { createOnce, writeFileAtomic } from "./index.ts";
import { sweepTemporary } from "./write-atomic.ts";

describe("writeFileAtomic", () => {
  test("writes a file that nobody else may read, and leaves nothing beside it", async () => {
    await using folder = await Folder.open();
    await writeFileAtomic(folder.at("table.json"), "one");
    await writeFileAtomic(folder.at("table.json"), new Uint8Array([0x74, 0x77, 0x6f]));
    assert.equal(await readFile(folder.at("table.json"), "utf8"), "two");
    assert.equal((await stat(folder.at("table.json"))).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder.path), ["table.json"]);
  });

  test("gives the mode that is asked for", async () => {
    await using folder = await Folder.open();
    await writeFileAtomic(folder.at("unit"), "x", { mode: 0o640 });
    assert.equal((await stat(folder.at("unit"))).mode & 0o777, 0o640);
  });

  test("keeps what was there when the disk is full, says so, and leaves nothing beside it", async (t) => {
    await using disk = await TinyDisk.mount(t);
    if (disk === undefined) return;
    await writeFileAtomic(join(disk.path, "table.json"), "before");
    const tooMuch = new Uint8Array(disk.bytes * 2);
    await assert.rejects(writeFileAtomic(join(disk.path, "table.json"), tooMuch), {
      code: "disk-full",
      hint: /free some space/,
    });
    assert.equal(await readFile(join(disk.path, "table.json"), "utf8"), "before");
    assert.deepEqual(await readdir(disk.path), ["table.json"]);
  });

  test("leaves a whole file, old or new, when the process is killed in the middle", async () => {
    await using folder = await Folder.open();
    for (let round = 0; round < 5; round++) {
      await using child = await Child.start(`
        import { writeFileAtomic } from "${folder.store}";
        const text = JSON.stringify(Array.from({ length: 20_000 }, (_, i) => i));
        process.stdout.write("ready\\n");
        for (;;) await writeFileAtomic("${folder.at("table.json")}", text);
      `);
      await child.line("ready");
      await child.liveFor(20 + round * 15);
      await child.kill();
      const text = await readFile(folder.at("table.json"), "utf8").catch(() => "[]");
      assert.ok(Array.isArray(JSON.parse(text)));
    }
    await sweepTemporary(folder.path);
    assert.ok((await readdir(folder.path)).every((name) => name === "table.json"));
  });
});

describe("createOnce", () => {
  test("makes one file, whole, of many that try at once", async () => {
    await using folder = await Folder.open();
    const made = await Promise.all(Array.from({ length: 30 }, (_, i) => createOnce(folder.at("name"), `node-${i}`)));
    assert.equal(made.filter(Boolean).length, 1);
    assert.equal(await readFile(folder.at("name"), "utf8"), `node-${made.indexOf(true)}`);
    assert.deepEqual(await readdir(folder.path), ["name"]);
  });

  test("leaves a file alone that is there", async () => {
    await using folder = await Folder.open();
    await writeFile(folder.at("name"), "mine");
    assert.equal(await createOnce(folder.at("name"), "other"), false);
    assert.equal(await readFile(folder.at("name"), "utf8"), "mine");
  });
});

class Folder implements AsyncDisposable {
  readonly path: string;
  readonly store = new URL("./index.ts", import.meta.url).href;

  static async open(): Promise<Folder> {
    return new Folder(await mkdtemp(join(tmpdir(), "p2prc-store-")));
  }

  private constructor(path: string) {
    this.path = path;
  }

  at(name: string): string {
    return join(this.path, name);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}
