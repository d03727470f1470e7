import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { type Duplex, duplexPair, Transform } from "node:stream";
import { after, before, describe, test } from "node:test";
import { pack } from "tar-stream";
import { ResidentLab } from "../../../test/support/resident-lab.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { Failure } from "../../core/light.ts";
import { encodeLast, Tally } from "../resident/tar-words.ts";
import { type Copied, copyFiles, type CopyProgress } from "./copy-files.ts";
import { LARGE_BYTES } from "./transfer.ts";

const { signal } = new AbortController();

describe("where a copy goes", () => {
  let resident: ResidentLab;
  before(async () => {
    resident = await ResidentLab.open();
  });
  after(() => resident[Symbol.asyncDispose]());

  const cases: readonly (readonly [string, string, readonly string[], string])[] = [
    // what is copied, to, what is there before, what is there afterwards
    ["file", "new", [], "new"],
    ["file", "there/", ["there/"], "there/file"],
    ["file", "there", ["there/"], "there/file"],
    ["file", "there", ["there"], "there"],
    ["src", "new", [], "new/a"],
    ["src/", "new", [], "new/a"],
    ["src", "new/", [], "new/a"],
    ["src", "there", ["there/"], "there/src/a"],
    ["src", "there", ["there/src/b"], "there/src/a there/src/b"],
    ["src/.", "there", ["there/"], "there/a"],
    ["src/.", "new", [], "new/a"],
    ["link", "new", [], "new/a"],
  ];
  for (const way of ["into a sandbox", "out of it"] as const) {
    for (const [from, to, there, result] of cases) {
      test(`${way}: ${from} to ${to}${there.length === 0 ? "" : `, where ${there.join(", ")} is`}`, async () => {
        await using lab = await CopyLab.open(resident);
        const [near, far] = way === "out of it" ? [lab.far, lab.near] : [lab.near, lab.far];
        await make(near, ["file", "src/a"]);
        await symlink("src", join(near, "link"));
        await make(far, there);
        await (way === "out of it" ? lab.out(from, to) : lab.in(from, to));
        assert.deepEqual(await list(far), result.split(" "));
      });
    }
  }

  const refused: readonly (readonly [string, string, readonly string[], string, RegExp])[] = [
    ["nothing", "new", [], "not-found", /nothing/],
    ["file", "new/", [], "not-found", /no such folder/],
    ["file", "no/such/place", [], "not-found", /no such folder/],
    ["file/", "new", [], "bad-argument", /.*/],
    ["src", "there", ["there"], "conflict", /there already/],
    ["src", "there", ["there/src"], "conflict", /there already/],
    ["src/a", "there", ["there/a/"], "conflict", /there already/],
    ["pipe", "new", [], "bad-argument", /neither/],
  ];
  for (const way of ["into a sandbox", "out of it"] as const) {
    for (const [from, to, there, code, words] of refused) {
      if (from === "file/" && way === "into a sandbox") continue; // this system says so by itself, in other words
      test(`${way}: never ${from} to ${to}${there.length === 0 ? "" : `, where ${there.join(", ")} is`}`, async () => {
        await using lab = await CopyLab.open(resident);
        const [near, far] = way === "out of it" ? [lab.far, lab.near] : [lab.near, lab.far];
        await make(near, ["file", "src/a"]);
        execFileSync("mkfifo", [join(near, "pipe")]);
        await make(far, there);
        const found = await list(far);
        await assert.rejects(way === "out of it" ? lab.out(from, to) : lab.in(from, to), (error: Failure) => {
          assert.equal(error.code, code);
          assert.match(error.message, words);
          return true;
        });
        assert.deepEqual(await list(far), found);
      });
    }
  }
});

describe("what is copied", () => {
  test("keeps its bytes, modes, times, links and names, there and back", async () => {
    await using lab = await CopyLab.open();
    await make(lab.near, ["src/deep/er/", "src/a b'%?#\n$ü", "src/empty"]);
    await writeFile(join(lab.near, "src/run"), "#!/bin/sh\n".repeat(30_000), { mode: 0o755 });
    await chmod(join(lab.near, "src/deep"), 0o500);
    await utimes(join(lab.near, "src/run"), 1_000_000, 1_000_000);
    await symlink("run", join(lab.near, "src/alias"));
    const sent = await lab.in("src", "there");
    const got = await lab.out("there", "back");
    await chmod(join(lab.near, "src/deep"), 0o700);
    assert.equal(sent.bytes, got.bytes);
    assert.equal(sent.entries, got.entries);
    assert.deepEqual(await list(join(lab.near, "back")), await list(join(lab.near, "src")));
    assert.equal(await readFile(join(lab.near, "back/run"), "utf8"), "#!/bin/sh\n".repeat(30_000));
    const { mode, mtimeMs } = await stat(join(lab.near, "back/run"));
    assert.deepEqual([mode & 0o7777, mtimeMs], [0o755, 1_000_000_000]);
    assert.equal((await lstat(join(lab.near, "back/alias"))).isSymbolicLink(), true);
  });

  test("loses setuid", async () => {
    await using lab = await CopyLab.open();
    await make(lab.far, ["src/tool"]);
    await chmod(join(lab.far, "src/tool"), 0o4755);
    await lab.out("src", "src");
    await lab.out("src/tool", "tool");
    for (const path of ["src/tool", "tool"]) assert.equal((await stat(join(lab.near, path))).mode & 0o7777, 0o755);
  });

  test("tells how far it is, and of all of it where that is known", async () => {
    await using lab = await CopyLab.open();
    await writeFile(join(lab.near, "file"), "x".repeat(1_000_000));
    await lab.in("file", "file");
    assert.deepEqual(lab.progress.at(-1), { name: "file", bytes: 1_000_000, all: 1_000_000 });
  });

  test("ends with its asker", async () => {
    await using lab = await CopyLab.open();
    await sparse(join(lab.near, "big"), 256 * 1024 * 1024);
    const asking = new AbortController();
    lab.onProgress = () => asking.abort(new Error("enough"));
    await assert.rejects(lab.in("big", "big", asking.signal), /enough/);
    assert.equal((await list(lab.far)).includes("big"), false);
  });
});

describe("a large file", () => {
  test("goes on where the link broke, both ways, also within a folder", async () => {
    await using lab = await CopyLab.open();
    const size = LARGE_BYTES + 30_000_000;
    await make(lab.near, ["src/small"]);
    await pattern(join(lab.near, "src/large"), size);
    for (const way of ["in", "out"] as const) {
      lab.cutAfter = [60_000_000];
      lab.moved = 0;
      await (way === "in" ? lab.in("src", "there") : lab.out("there", "back"));
      assert.equal(lab.retries, 1, way);
      assert.ok(lab.moved < size + 20_000_000, `${way}: ${lab.moved} bytes for ${size}`);
      lab.retries = 0;
    }
    execFileSync("cmp", [join(lab.near, "src/large"), join(lab.near, "back/large")]);
    assert.deepEqual(await list(join(lab.near, "back")), ["large", "small"]);
  });

  test("is begun anew where what an earlier attempt left is something else", async () => {
    await using lab = await CopyLab.open();
    await pattern(join(lab.near, "large"), LARGE_BYTES + 1);
    await writeFile(join(lab.far, "large.p2prc-part"), "from another file");
    await lab.in("large", "large");
    execFileSync("cmp", [join(lab.near, "large"), join(lab.far, "large")]);
    await writeFile(join(lab.near, "back.p2prc-part"), "from another file");
    await lab.out("large", "back");
    execFileSync("cmp", [join(lab.near, "large"), join(lab.near, "back")]);
  });

  test("is given up after three tries, with what came kept for the next time", async () => {
    await using lab = await CopyLab.open();
    await sparse(join(lab.far, "large"), LARGE_BYTES + 1);
    lab.cutAfter = [1_000_000, 1_000_000, 1_000_000];
    await assert.rejects(lab.out("large", "large"));
    assert.equal(lab.retries, 2);
    assert.deepEqual(await list(lab.near), ["large.p2prc-part"]);
    assert.ok((await stat(join(lab.near, "large.p2prc-part"))).size > 2_000_000);
    await lab.out("large", "large");
    assert.deepEqual(await list(lab.near), ["large"]);
  });
});

describe("a small file", () => {
  test("leaves nothing behind where it is given up", async () => {
    await using lab = await CopyLab.open();
    await writeFile(join(lab.far, "file"), "x".repeat(1_000_000));
    lab.cutAfter = [1_000, 1_000, 1_000];
    await assert.rejects(lab.out("file", "file"));
    assert.deepEqual(await list(lab.near), []);
  });

  test("replaces a link, and never what it leads to", async () => {
    await using lab = await CopyLab.open();
    await make(lab.far, ["file", "src/file"]);
    await writeFile(join(lab.near, "mine"), "mine");
    await mkdir(join(lab.near, "there"));
    await symlink("../mine", join(lab.near, "there/file"));
    await lab.out("file", "there");
    assert.equal(await readFile(join(lab.near, "mine"), "utf8"), "mine");
    await mkdir(join(lab.near, "other"));
    await symlink("../there", join(lab.near, "other/src"));
    await assert.rejects(lab.out("src", "other"), { code: "conflict" });
  });
});

describe("a sandbox that lies", () => {
  test("about how much there is, is cut off", async () => {
    await using lab = await CopyLab.open();
    await make(lab.far, ["src/"]);
    await sparse(join(lab.far, "src/a"), 2_000_000);
    await sparse(join(lab.far, "big"), 2_000_000);
    for (const from of ["src", "big"])
      await assert.rejects(lab.copy({ from, to: "back", out: true, maxBytes: 1_000_000 }), { code: "too-large" });
    assert.equal((await list(lab.near)).includes("back/a"), false);
  });

  for (const [what, name] of [
    ["leave the folder", "../evil"],
    ["are absolute", "/tmp/p2prc-evil"],
    ["go through a link", "inner/../../evil"],
    ["have no name", "."],
  ] as const) {
    test(`about large files whose names ${what}, is refused`, async () => {
      await using lab = await CopyLab.open();
      lab.answer = async (target) => (target.includes("?tree") ? await archiveThatNames(name) : factsOf(target));
      await assert.rejects(lab.out("src", "back"), { code: "bad-argument" });
      assert.deepEqual(await list(lab.near), ["back/"]);
    });
  }

  test("about links that lead out, is refused", async () => {
    await using lab = await CopyLab.open();
    await make(lab.far, ["src/"]);
    await symlink("/etc/passwd", join(lab.far, "src/link"));
    await assert.rejects(lab.out("src", "back"), { code: "bad-argument" });
    await rm(join(lab.far, "src/link"));
    await symlink("../sibling", join(lab.far, "src/link"));
    await assert.rejects(lab.out("src", "back"), { code: "bad-argument" });
  });

  for (const said of [
    "",
    "nonsense",
    "[]",
    '{"kind":"file"}',
    '{"kind":"file","size":-1,"mtimeMs":0,"mode":1}',
    '{"error":7}',
  ]) {
    test(`with ${said === "" ? "nothing" : said}, is a failure and no defect`, async () => {
      await using lab = await CopyLab.open();
      lab.answer = () => stringStream(said);
      await assert.rejects(lab.out("src", "back"), (error) => error instanceof Failure);
    });
  }
});

interface Wish {
  readonly from: string;
  readonly to: string;
  readonly out: boolean;
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

/** A resident, a folder on either side of it, and a link that breaks when it is told to. */
class CopyLab implements AsyncDisposable {
  readonly near: string;
  readonly far: string;
  readonly progress: CopyProgress[] = [];
  onProgress = () => undefined as unknown;
  /** After how many bytes each of the next streams with that many is cut. */
  cutAfter: number[] = [];
  moved = 0;
  retries = 0;
  /** In the place of the resident. */
  answer: ((target: string) => Duplex | Promise<Duplex>) | undefined;
  readonly #lab: ResidentLab;
  readonly #owned: boolean;
  readonly #clock = new VirtualClock();

  /** @param shared a resident that outlives it */
  static async open(shared?: ResidentLab): Promise<CopyLab> {
    const resident = shared ?? (await ResidentLab.open());
    const folder = await mkdtemp(join(resident.folder, "copy-"));
    const lab = new CopyLab(resident, { folder, owned: shared === undefined });
    await mkdir(lab.near);
    await mkdir(lab.far);
    return lab;
  }

  private constructor(lab: ResidentLab, { folder, owned }: { readonly folder: string; readonly owned: boolean }) {
    this.#lab = lab;
    this.#owned = owned;
    this.near = join(folder, "near");
    this.far = join(folder, "far");
  }

  in(from: string, to: string, asking = signal): Promise<Copied> {
    return this.copy({ from, to, out: false, signal: asking });
  }

  out(from: string, to: string): Promise<Copied> {
    return this.copy({ from, to, out: true });
  }

  async copy({ from, to, out, maxBytes, signal: asking = signal }: Wish): Promise<Copied> {
    const near = { path: `${this.near}/${out ? to : from}` };
    const far = { box: "box", path: `${this.far}/${out ? from : to}` };
    const deps = {
      open: (target: string) => this.#open(target),
      clock: this.#clock,
      onProgress: (progress: CopyProgress) => {
        this.progress.push(progress);
        this.onProgress();
      },
      onRetry: () => {
        this.retries++;
        void this.#clock.advance(10_000);
      },
    };
    const wish = { from: out ? far : near, to: out ? near : far, ...(maxBytes === undefined ? {} : { maxBytes }) };
    return await copyFiles(deps, wish, asking);
  }

  async #open(target: string): Promise<Duplex> {
    if (this.answer !== undefined) return await this.answer(target);
    const [, way, path = "", query] = /^(put|get)\/([^?]*)(?:\?(.*))?$/.exec(target) ?? [];
    const asked = { path: decodeURIComponent(path), ...(query === undefined ? {} : { query }) };
    const stream = await this.#lab.inside.files(way === "put" ? "put" : "get", asked, signal);
    return this.#counted(stream, target.includes("stat"));
  }

  /** Passes bytes on, and breaks where it is told to. */
  #counted(far: Duplex, facts: boolean): Duplex {
    const [near, inner] = duplexPair();
    let passed = 0;
    let broken = facts;
    const counting = () =>
      new Transform({
        transform: (chunk: Buffer, _encoding, done) => {
          passed += chunk.length;
          this.moved += chunk.length;
          const limit = broken ? undefined : this.cutAfter[0];
          if (limit !== undefined && passed > limit) {
            broken = true;
            this.cutAfter.shift();
            far.destroy();
            inner.destroy();
            near.destroy(new Error("cut"));
          }
          done(undefined, chunk);
        },
      });
    inner.pipe(counting()).pipe(far);
    far.pipe(counting()).pipe(inner);
    for (const stream of [near, inner, far]) stream.on("error", () => undefined);
    near.on("close", () => far.destroy());
    return near;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#owned) await this.#lab[Symbol.asyncDispose]();
  }
}

async function make(root: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(join(root, path.endsWith("/") ? path : join(path, "..")), { recursive: true });
    if (!path.endsWith("/")) await writeFile(join(root, path), path);
  }
}

/** What is no folder, and folders with nothing in them. */
async function list(root: string, below = ""): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = join(below, entry.name);
    const inner = entry.isDirectory() ? await list(root, path) : [];
    found.push(...(entry.isDirectory() && inner.length === 0 ? [`${path}/`] : entry.isDirectory() ? inner : [path]));
  }
  return found.toSorted();
}

async function sparse(path: string, size: number): Promise<void> {
  await writeFile(path, "");
  await truncate(path, size);
}

async function pattern(path: string, size: number): Promise<void> {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4_096) bytes.writeUInt32LE(at, at);
  await writeFile(path, bytes);
}

async function archiveThatNames(name: string): Promise<Duplex> {
  const archive = pack();
  const tally = new Tally();
  tally.entry("directory", ".", 0);
  archive.entry({ name: ".", type: "directory" });
  archive.entry({ name: ".p2prc-end" }, encodeLast({ ...tally.total(), left: [name] }));
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive as unknown as AsyncIterable<Buffer>) chunks.push(chunk);
  return stringStream(Buffer.concat(chunks));
}

function factsOf(target: string): Duplex {
  const kind = target.includes("evil") ? "file" : "folder";
  return stringStream(JSON.stringify({ kind, size: 1, mtimeMs: 0, mode: 0o755 }));
}

function stringStream(content: string | Buffer): Duplex {
  const [near, far] = duplexPair();
  far.resume();
  far.end(content);
  return near;
}
