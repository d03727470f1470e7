import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { ResidentLab } from "../../../test/support/resident-lab.ts";
import { packInto } from "./pack.ts";
import { unpackFrom } from "./unpack.ts";

const { signal } = new AbortController();
const sha256 = (content: string) => createHash("sha256").update(content).digest("hex");

describe("a folder", () => {
  test("goes in and comes out again as it was", async () => {
    await using lab = await FileLab.open();
    await mkdir(join(lab.path, "a/b"), { recursive: true });
    await writeFile(join(lab.path, "a/b/c"), "x".repeat(3_000_000));
    const put = await lab.files("put", "in side?%/ü");
    const [sent, answer] = await Promise.all([packInto(put, { path: join(lab.path, "a") }, signal), text(put)]);
    assert.deepEqual(JSON.parse(answer), sent);
    const get = await lab.files("get", "in side?%/ü/a/b");
    get.end();
    await unpackFrom(get, join(lab.path, "out"), { outwardLinks: "refuse" });
    assert.equal((await readFile(join(lab.path, "out/b/c"), "utf8")).length, 3_000_000);
  });

  test("is answered with a reason where it cannot be written, while it is still sent", async () => {
    await using lab = await FileLab.open();
    await writeFile(join(lab.path, "file"), "x".repeat(5_000_000));
    const put = await lab.files("put", "file/below");
    const [, answer] = await Promise.all([packInto(put, { path: join(lab.path, "file") }, signal), text(put)]);
    assert.equal((JSON.parse(answer) as Answer).error?.code, "bad-argument");
  });

  test("says in its last entry why it cannot be read", async () => {
    await using lab = await FileLab.open();
    const get = await lab.files("get", "nothing");
    get.end();
    await assert.rejects(unpackFrom(get, join(lab.path, "out"), { outwardLinks: "refuse" }), { code: "not-found" });
  });
});

describe("a large file", () => {
  test("goes on where an earlier attempt left off, and is checked before it takes its place", async () => {
    await using lab = await FileLab.open();
    const first = await lab.files("put", "big", "offset=0&size=10&mode=755&mtime=86400000");
    first.end("01234");
    assert.equal((JSON.parse(await text(first)) as Answer).error?.code, "conflict");
    const left = JSON.parse(await lab.get("big", "stat&part&prefix=5")) as Answer;
    assert.deepEqual([left.size, left.prefixSha256], [5, sha256("01234")]);
    const second = await lab.files("put", "big", "offset=5&size=10&mode=4755&mtime=86400000");
    second.end(`56789${sha256("56789")}`);
    assert.deepEqual(JSON.parse(await text(second)), { files: 1, bytes: 5, sha256: sha256("56789") });
    assert.equal(await readFile(join(lab.path, "big"), "utf8"), "0123456789");
    const { mode, mtimeMs } = await stat(join(lab.path, "big"));
    assert.deepEqual([mode & 0o7777, mtimeMs], [0o755, 86_400_000]);
    assert.deepEqual(await readdir(lab.path), ["big"]);
  });

  test("is thrown away where it is not what was sent", async () => {
    await using lab = await FileLab.open();
    const put = await lab.files("put", "big", "offset=0&size=3");
    put.end(`abc${sha256("abd")}`);
    assert.equal((JSON.parse(await text(put)) as Answer).error?.code, "conflict");
    assert.deepEqual(await readdir(lab.path), []);
  });

  test("is refused where more comes than was said, or nothing is there to go on from", async () => {
    await using lab = await FileLab.open();
    const more = await lab.files("put", "big", "offset=0&size=3");
    more.end(`abc${sha256("abc")}d`);
    assert.equal((JSON.parse(await text(more)) as Answer).error?.code, "too-large");
    const gap = await lab.files("put", "other", "offset=7&size=9");
    gap.end("..");
    assert.equal((JSON.parse(await text(gap)) as Answer).error?.code, "conflict");
  });

  test("comes out from any byte on, with its digest", async () => {
    await using lab = await FileLab.open();
    await writeFile(join(lab.path, "big"), "0123456789");
    assert.equal(await lab.get("big", "offset=4&size=10"), `456789${sha256("456789")}`);
  });

  test("is never what a link leads to, nor a device", async () => {
    await using lab = await FileLab.open();
    await writeFile(join(lab.path, "target"), "mine");
    await symlink("target", join(lab.path, "big.p2prc-part"));
    const put = await lab.files("put", "big", "offset=0&size=1");
    put.end(`x${sha256("x")}`);
    assert.equal((JSON.parse(await text(put)) as Answer).error?.code, "bad-argument");
    assert.equal(await readFile(join(lab.path, "target"), "utf8"), "mine");
    await assert.rejects(lab.get("/dev/zero", "offset=0&size=10"));
  });

  test("is refused with a query that makes no sense", async () => {
    await using lab = await FileLab.open();
    for (const query of ["offset=-1&size=3", "offset=4&size=3", "offset=0&size=1e3", "offset=0&size=3&mode=999"]) {
      const put = await lab.files("put", "big", query);
      put.end("abc");
      assert.equal((JSON.parse(await text(put)) as Answer).error?.code, "bad-argument", query);
    }
    assert.equal((JSON.parse(await lab.get("nothing", "stat")) as Answer).error?.code, "not-found");
  });
});

interface Answer {
  readonly error?: { readonly code: string };
  readonly size?: number;
  readonly prefixSha256?: string;
}

/** Paths begin in a folder of the test. */
class FileLab implements AsyncDisposable {
  readonly path: string;
  readonly #lab: ResidentLab;

  static async open(): Promise<FileLab> {
    const lab = await ResidentLab.open();
    await mkdir(join(lab.folder, "files"));
    return new FileLab(lab);
  }

  private constructor(lab: ResidentLab) {
    this.#lab = lab;
    this.path = join(lab.folder, "files");
  }

  files(way: "put" | "get", path: string, query?: string): Promise<Duplex> {
    const absolute = path.startsWith("/") ? path : join(this.path, path);
    return this.#lab.inside.files(way, { path: absolute, ...(query === undefined ? {} : { query }) }, signal);
  }

  async get(path: string, query: string): Promise<string> {
    const stream = await this.files("get", path, query);
    stream.end();
    return await text(stream);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#lab[Symbol.asyncDispose]();
  }
}

async function text(stream: Duplex): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}
