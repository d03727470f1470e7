import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough, type Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { type Header, pack } from "tar-stream";
import { systemClock } from "../base/index.ts";
import { parseGitPlace, takeGit } from "./take-git.ts";
import { takeFolder } from "./take-folder.ts";
import { takeTar, takeTarFile } from "./take-tar.ts";

const { signal } = new AbortController();
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "p2prc-takes-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

describe("a plugin's folder", () => {
  test("is copied with what is in it, and nothing of git", async () => {
    await mkdir(join(folder, "from/roles"), { recursive: true });
    await mkdir(join(folder, "from/.git"));
    await writeFile(join(folder, "from/site.yml"), "x");
    await writeFile(join(folder, "from/roles/run.sh"), "y", { mode: 0o755 });
    await takeFolder(join(folder, "from"), join(folder, "to"), signal);
    assert.deepEqual((await readdir(join(folder, "to"), { recursive: true })).toSorted(), [
      "roles",
      "roles/run.sh",
      "site.yml",
    ]);
    assert.equal((await stat(join(folder, "to/roles/run.sh"))).mode & 0o777, 0o700);
  });

  test("has no links and no devices", async () => {
    await mkdir(join(folder, "from"));
    await symlink("/etc/passwd", join(folder, "from/link"));
    await assert.rejects(takeFolder(join(folder, "from"), join(folder, "to"), signal), { code: "not-allowed" });
    await rm(join(folder, "from/link"));
    spawnSync("mkfifo", [join(folder, "from/pipe")]);
    await assert.rejects(takeFolder(join(folder, "from"), join(folder, "to"), signal), { code: "not-allowed" });
    await symlink(join(folder, "from"), join(folder, "linked"));
    await assert.rejects(takeFolder(join(folder, "linked"), join(folder, "to"), signal), { code: "bad-argument" });
  });

  test("is not larger than a recipe", async () => {
    await mkdir(join(folder, "from"));
    spawnSync("truncate", ["-s", "65M", join(folder, "from/large")]);
    await assert.rejects(takeFolder(join(folder, "from"), join(folder, "to"), signal), { code: "too-large" });
  });
});

describe("a plugin's archive", () => {
  test("is unpacked, packed or not, without the one folder around it", async () => {
    const tar = await archive([
      ["thing-1.0/", "directory"],
      ["thing-1.0/site.yml", "file"],
    ]);
    for (const bytes of [tar, gzipSync(tar)]) {
      await writeFile(join(folder, "a.tar"), bytes);
      await rm(join(folder, "to"), { recursive: true, force: true });
      await takeTarFile(join(folder, "a.tar"), join(folder, "to"), signal);
      assert.equal(await readFile(join(folder, "to/site.yml"), "utf8"), "content");
    }
  });

  for (const [what, entries] of [
    ["leaves its folder", [["../x", "file"]]],
    ["leaves it in the middle", [["a/../../x", "file"]]],
    ["begins at the root", [["/x", "file"]]],
    ["is a symbolic link", [["x", "symlink"]]],
    ["is a hard link", [["x", "link"]]],
    ["is a device", [["x", "character-device"]]],
    ["is a pipe", [["x", "fifo"]]],
    [
      "comes twice",
      [
        ["x", "file"],
        ["x", "file"],
      ],
    ],
    ["has control characters", [["a\u0007b", "file"]]],
  ] as const) {
    test(`is refused where something in it ${what}`, async () => {
      const bytes = await archive(entries);
      await assert.rejects(takeTar(streamOf(bytes), join(folder, "to"), signal), { code: "not-allowed" });
      assert.equal((await readdir(folder)).includes("x"), false);
    });
  }

  test("ends where it has too much, and where it is none", async () => {
    const many = Array.from({ length: 2_001 }, (_, index) => [`f${index}`, "file"] as const);
    await assert.rejects(takeTar(streamOf(await archive(many)), join(folder, "to"), signal), { code: "too-large" });
    await assert.rejects(takeTar(streamOf(Buffer.alloc(2_000, 7)), join(folder, "no"), signal), {
      code: "bad-argument",
    });
    const cut = (await archive([["site.yml", "file"]])).subarray(0, 514);
    await assert.rejects(takeTar(streamOf(cut), join(folder, "cut"), signal), { code: "bad-argument" });
  });
});

describe("a plugin's repository", {
  skip: spawnSync("git", ["--version"]).status !== 0 && "git is not installed",
}, () => {
  test("is taken at one commit, and runs none of its hooks", async () => {
    const git = await repository();
    await writeFile(join(folder, "repo/.gitattributes"), "site.yml filter=evil\n");
    await writeFile(join(folder, "repo/.git/hooks/post-checkout"), `#!/bin/sh\ntouch ${folder}/hooked\n`);
    await chmod(join(folder, "repo/.git/hooks/post-checkout"), 0o755);
    git("config", "filter.evil.smudge", `touch ${folder}/filtered`);
    git("add", ".");
    git("-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "-m", "two");
    const first = git("rev-parse", "HEAD^").stdout.trim();
    const place = (ref: string) => ({ url: `file://${folder}/repo`, ref });
    const commit = await takeGit(place("HEAD"), join(folder, "to"), { clock: systemClock, signal });
    assert.equal(commit, git("rev-parse", "HEAD").stdout.trim());
    assert.equal(await takeGit(place("v1"), join(folder, "old"), { clock: systemClock, signal }), first);
    assert.deepEqual(await readdir(join(folder, "old")), ["site.yml"]);
    const there = await readdir(folder);
    assert.ok(!there.includes("hooked") && !there.includes("filtered"));
  });

  test("is refused where it holds links", async () => {
    const git = await repository();
    await symlink("/etc/passwd", join(folder, "repo/roles"));
    git("add", ".");
    git("-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "-m", "two");
    const place = { url: `file://${folder}/repo`, ref: "HEAD" };
    await assert.rejects(takeGit(place, join(folder, "to"), { clock: systemClock, signal }), { code: "not-allowed" });
  });

  test("that is not there, or has no such branch, is told of in git's words", async () => {
    await repository();
    const options = { clock: systemClock, signal };
    await assert.rejects(takeGit({ url: `file://${folder}/none`, ref: "HEAD" }, join(folder, "to"), options), {
      code: "unreachable",
    });
    await assert.rejects(takeGit({ url: `file://${folder}/repo`, ref: "none" }, join(folder, "to"), options), {
      code: "unreachable",
    });
  });

  test("that does not answer is left in time, and one that is too large", async () => {
    await using silent = await silentServer();
    const place = { url: `https://127.0.0.1:${silent.port}/x`, ref: "HEAD" };
    const late = { clock: systemClock, timeLimitMs: 300, signal };
    await assert.rejects(takeGit(place, join(folder, "to"), late), { code: "timed-out" });
    const silence = { clock: systemClock, silenceMs: 300, signal };
    await assert.rejects(takeGit(place, join(folder, "to"), silence), {
      message: `"${place.url}" did not answer within 0.3 s`,
    });
    const large = { clock: systemClock, maxBytes: 1, signal };
    await assert.rejects(takeGit(place, join(folder, "to"), large), { code: "too-large" });
    const left = new AbortController();
    const asked = takeGit(place, join(folder, "to"), { clock: systemClock, signal: left.signal });
    left.abort();
    await assert.rejects(asked, { name: "AbortError" });
  });

  for (const place of ["./x", "C:\\x", "ext::sh -c id", "http://x/y", "--upload-pack=x", "git://x/y", "fd::7"]) {
    test(`is not "${place}"`, () => assert.equal(parseGitPlace(place), undefined));
  }

  test("is named by a URL that git knows, and a word behind it", () => {
    assert.deepEqual(parseGitPlace("https://x.org/y#v1"), { url: "https://x.org/y", ref: "v1" });
    assert.deepEqual(parseGitPlace("git@x.org:y/z"), { url: "git@x.org:y/z", ref: "HEAD" });
    assert.throws(() => parseGitPlace("https://x.org/y#--upload-pack=x"), { code: "bad-argument" });
  });
});

/** Takes connections, and says nothing. */
async function silentServer() {
  const server = createServer((socket) => socket.on("error", () => undefined).resume());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const close = () => new Promise<void>((done) => server.close(() => done()));
  return { port: (server.address() as { port: number }).port, [Symbol.asyncDispose]: close };
}

async function repository() {
  await mkdir(join(folder, "repo"));
  const git = (...args: string[]) => spawnSync("git", ["-C", join(folder, "repo"), ...args], { encoding: "utf8" });
  git("init", "-q", "-b", "main");
  await writeFile(join(folder, "repo/site.yml"), "- hosts: all\n");
  git("add", ".");
  git("-c", "user.name=x", "-c", "user.email=x@y", "commit", "-q", "-m", "one");
  git("tag", "v1");
  return git;
}

async function archive(entries: readonly (readonly [string, string])[]): Promise<Buffer> {
  const tar = pack();
  for (const [name, type] of entries) {
    const header = { name, type, ...(type.endsWith("link") ? { linkname: "/etc/passwd" } : {}) } as unknown as Header;
    if (type === "file") tar.entry(header, "content");
    else tar.entry(header);
  }
  tar.finalize();
  return await buffer(tar as unknown as Readable);
}

function streamOf(bytes: Buffer): Readable {
  const stream = new PassThrough();
  stream.end(bytes);
  return stream;
}
