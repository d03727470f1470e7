import assert from "node:assert/strict";
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, Readable } from "node:stream";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Header, pack } from "tar-stream";
import { packInto } from "./pack.ts";
import { LAST_NAME, Tally } from "./tar-words.ts";
import { type UnpackOptions, unpackFrom } from "./unpack.ts";

const { signal } = new AbortController();

describe("an archive that was packed", () => {
  test("is unpacked as it was: contents, modes, times, empty folders and links", async () => {
    await using lab = await Lab.open();
    await lab.tree();
    const moved = await lab.copy("from");
    assert.equal(moved.files, 6);
    assert.equal(await readFile(join(lab.into, "from/big"), "latin1"), "b".repeat(300_000));
    assert.equal((await lstat(join(lab.into, "from/run"))).mode & 0o7777, 0o755);
    const [there, here] = [await lstat(join(lab.into, "from/run")), await lstat(join(lab.path, "from/run"))];
    assert.equal(there.mtime.getTime(), Math.floor(here.mtimeMs / 1_000) * 1_000);
    assert.deepEqual(await readdir(join(lab.into, "from/empty")), []);
    assert.equal(await readlink(join(lab.into, "from/link")), "/usr/bin/env");
  });

  test("leaves setuid behind", async () => {
    await using lab = await Lab.open();
    await lab.unpack([{ name: "su", mode: 0o6755 }, "content"]);
    assert.equal((await lstat(join(lab.into, "su"))).mode & 0o7777, 0o755);
  });

  test("takes the place of files and links that were there, and keeps what else is in a folder", async () => {
    await using lab = await Lab.open();
    await writeFile(join(lab.path, "outside"), "mine");
    await mkdir(join(lab.into, "from"));
    await writeFile(join(lab.into, "from/kept"), "kept");
    await symlink(join(lab.path, "outside"), join(lab.into, "from/big"));
    await lab.tree();
    await lab.copy("from");
    assert.equal(await readFile(join(lab.path, "outside"), "utf8"), "mine");
    assert.equal(await readFile(join(lab.into, "from/kept"), "utf8"), "kept");
    assert.ok((await lstat(join(lab.into, "from/big"))).isFile());
  });

  test("says why the sender gave up", async () => {
    await using lab = await Lab.open();
    const through = new PassThrough();
    const sending = packInto(through, { path: join(lab.path, "nothing-here") }, signal).catch(
      (error: unknown) => error,
    );
    await assert.rejects(unpackFrom(through, lab.into, KEEP), { code: "not-found", message: /no such file/u });
    assert.ok((await sending) instanceof Error);
  });
});

describe("a hostile archive", () => {
  const refused: readonly [what: string, ...entries: Given[]][] = [
    ["an absolute path", [{ name: "/etc/p2prc-test" }, "x"]],
    ["a path that leaves the folder", [{ name: "../out" }, "x"]],
    ["a path that leaves the folder further in", [{ name: "a/../../out" }, "x"]],
    ["a name with a NUL", [{ name: "a", pax: { path: "a\0b" } }, "x"]],
    ["a name that is too long", [{ name: `${"d/".repeat(2_500)}f` }, "x"]],
    ["folders nested too deep", [{ name: `${"d/".repeat(200)}f` }, "x"]],
    ["a file through a link of its own", [{ name: "l", type: "symlink", linkname: ".." }], [{ name: "l/out" }, "x"]],
    [
      "a folder through a link of its own",
      [{ name: "l", type: "symlink", linkname: ".." }],
      [{ name: "l/out", type: "directory" }],
    ],
    [
      "a link in place of a folder",
      [{ name: "l", type: "symlink", linkname: ".." }],
      [{ name: "l", type: "directory" }],
    ],
    ["a hard link to outside", [{ name: "h", type: "link", linkname: "../outside" }]],
    ["a hard link by an absolute path", [{ name: "h", type: "link", linkname: "/etc/passwd" }]],
    [
      "a hard link through a link",
      [{ name: "l", type: "symlink", linkname: ".." }],
      [{ name: "h", type: "link", linkname: "l/outside" }],
    ],
    [
      "a hard link to a link",
      [{ name: "l", type: "symlink", linkname: "../outside" }],
      [{ name: "h", type: "link", linkname: "l" }],
    ],
    ["a character device", [{ name: "null", type: "character-device", devmajor: 1, devminor: 3 }]],
    ["a block device", [{ name: "disk", type: "block-device", devmajor: 8, devminor: 0 }]],
    ["a named pipe", [{ name: "pipe", type: "fifo" }]],
    ["an empty link", [{ name: "l", type: "symlink", linkname: "\0" }]],
    ["a file in place of the folder itself", [{ name: "." }, "x"]],
  ];
  for (const [what, ...entries] of refused) {
    test(`is refused for ${what}`, async () => {
      await using lab = await Lab.open();
      await writeFile(join(lab.path, "outside"), "mine");
      const before = await readdir(lab.path);
      await assert.rejects(lab.unpack(...entries), { name: "Refusal", code: "bad-argument" });
      assert.deepEqual(await readdir(lab.path), before);
      assert.equal(await readFile(join(lab.path, "outside"), "utf8"), "mine");
      assert.equal((await lstat(join(lab.path, "outside"))).nlink, 1);
    });
  }

  test("is refused on a guest's machine for links that lead out", async () => {
    await using lab = await Lab.open();
    const options = { outwardLinks: "refuse" } as const;
    await lab.unpackWith(options, [{ name: "d/in", type: "symlink", linkname: "../d" }]);
    await lab.unpackWith(options, [{ name: "here", type: "symlink", linkname: "." }]);
    const roundabout = ["../here/here/../../outside", "../here/../outside", "../d/../../into/d"];
    for (const linkname of ["/etc", "../..", "../../into-not", ...roundabout]) {
      const entry = { name: "d/l", type: "symlink", linkname } as const;
      await assert.rejects(lab.unpackWith(options, [entry]), { code: "bad-argument", message: /leads out/u });
    }
  });

  test("is refused for more entries than agreed", async () => {
    await using lab = await Lab.open();
    const entries = Array.from({ length: 11 }, (_, at): Given => [{ name: `f${at}` }, "x"]);
    await assert.rejects(lab.unpackWith({ ...KEEP, maxEntries: 10 }, ...entries), { code: "too-large" });
    assert.equal((await readdir(lab.into)).length, 10);
  });

  test("is refused where it was cut short, changed on the way, or is none", async () => {
    await using lab = await Lab.open();
    const whole = await archiveOf([[{ name: "f" }, "x".repeat(2_000)]]);
    const cut = whole.subarray(0, 1_500);
    await assert.rejects(unpackFrom(Readable.from([cut]), lab.into, KEEP), { code: "conflict" });
    const changed = Buffer.from(whole);
    changed[600] = 0x79;
    await assert.rejects(unpackFrom(Readable.from([changed]), lab.into, KEEP), { code: "conflict" });
    const without = whole.subarray(0, 512 + 2_048);
    await assert.rejects(unpackFrom(Readable.from([without]), lab.into, KEEP), {
      code: "conflict",
      message: /too early/u,
    });
    await assert.rejects(unpackFrom(Readable.from([Buffer.alloc(2_048, 1)]), lab.into, KEEP), { code: "bad-argument" });
  });

  test("leaves no half of a file, and what was there before", async () => {
    await using lab = await Lab.open();
    await writeFile(join(lab.into, "f"), "before");
    const cut = (await archiveOf([[{ name: "f" }, "x".repeat(200_000)]])).subarray(0, 100_000);
    await assert.rejects(unpackFrom(Readable.from([cut]), lab.into, KEEP));
    assert.equal(await readFile(join(lab.into, "f"), "utf8"), "before");
    assert.deepEqual(await readdir(lab.into), ["f"]);
  });

  test("never writes outside, whatever the bytes", async () => {
    await using lab = await Lab.open();
    const before = await readdir(lab.path);
    const whole = await archiveOf([[{ name: "d/f" }, "x"], [{ name: "l", type: "symlink", linkname: ".." }]]);
    const bitten = fc.tuple(fc.nat(whole.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(bitten, { minLength: 1, maxLength: 20 }), async (bites) => {
        const bytes = Buffer.from(whole);
        for (const [at, value] of bites) bytes[at] = value;
        await unpackFrom(Readable.from([bytes]), lab.into, KEEP).catch((error: unknown) =>
          assert.equal((error as Error).name, "Refusal"),
        );
        assert.deepEqual(await readdir(lab.path), before);
      }),
      { numRuns: 200 },
    );
  });
});

const KEEP = { outwardLinks: "keep" } as const;
type Given = [header: Partial<Header> & { name: string }, content?: string];

/** With a last entry as `packInto` writes it. */
async function archiveOf(entries: readonly Given[]): Promise<Buffer> {
  const archive = pack();
  const tally = new Tally();
  for (const [header, content = ""] of entries) {
    const kind = header.type ?? "file";
    tally.entry(kind, header.name, kind === "file" ? content.length : 0);
    tally.content(Buffer.from(content));
    if (kind === "file") archive.entry({ type: "file", ...header }, content);
    else archive.entry(header);
  }
  archive.entry({ name: LAST_NAME }, JSON.stringify(tally.total()));
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** A folder to unpack into, with a folder around it that must stay as it is. */
class Lab implements AsyncDisposable {
  readonly path: string;
  readonly into: string;

  static async open(): Promise<Lab> {
    const lab = new Lab(await mkdtemp(join(tmpdir(), "p2prc-unpack-")));
    await mkdir(lab.into);
    return lab;
  }

  private constructor(path: string) {
    this.path = path;
    this.into = join(path, "into");
  }

  async tree(): Promise<void> {
    const from = join(this.path, "from");
    await mkdir(join(from, "empty"), { recursive: true });
    await writeFile(join(from, "big"), "b".repeat(300_000));
    await writeFile(join(from, "run"), "#!/bin/sh\n", { mode: 0o755 });
    await writeFile(join(from, "nothing"), "");
    await symlink("/usr/bin/env", join(from, "link"));
  }

  async copy(name: string) {
    const through = new PassThrough();
    const [, received] = await Promise.all([
      packInto(through, { path: join(this.path, name) }, signal),
      unpackFrom(through, this.into, KEEP),
    ]);
    return received;
  }

  unpack(...entries: readonly Given[]) {
    return this.unpackWith(KEEP, ...entries);
  }

  async unpackWith(options: UnpackOptions, ...entries: readonly Given[]) {
    return await unpackFrom(Readable.from([await archiveOf(entries)]), this.into, options);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}
