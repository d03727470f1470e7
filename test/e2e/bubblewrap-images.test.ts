/** Sandboxes of images: archives and OCI layouts, whole, damaged and hostile. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { appendFile, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { bubblewrapSkip, BubblewrapWorld } from "../support/bubblewrap-world.ts";
import { type Entry, shellRoot, tarOf, writeLayout } from "../support/tiny-image.ts";

const { signal } = new AbortController();

describe("a sandbox of an image", { skip: bubblewrapSkip(), timeout: 120_000 }, () => {
  let root: readonly Entry[] = [];
  before(async () => {
    root = await shellRoot(signal);
  });

  test("sees the image and nothing of this machine's system", async () => {
    await using world = await open();
    await writeFile(image(world, "tiny.tar"), await tarOf([...root, { name: "etc/motd", content: "welcome\n" }]));
    const id = await world.make({ image: "tiny" });
    assert.equal((await world.sh(id, "cat /etc/motd")).out, "welcome\n");
    assert.doesNotMatch((await world.sh(id, "ls /usr /home")).out, /local|share/);
    assert.match((await world.sh(id, "cat /etc/hosts")).out, /127\.0\.1\.1 box/);
  });

  test("may change it without another one seeing that", async () => {
    await using world = await open();
    await writeFile(image(world, "tiny.tar.gz"), gzipSync(await tarOf([...root, { name: "data", content: "old" }])));
    const [one, two] = [await world.make({ image: "tiny" }), await world.make({ image: "tiny" })];
    await world.sh(one, "echo -n new > /data");
    assert.equal((await world.sh(one, "cat /data")).out, "new");
    assert.equal((await world.sh(two, "cat /data")).out, "old");
    assert.equal((await readdir(image(world, ".unpacked"))).length, 1);
  });

  test("has its owners and can change them where there are many users", async (context) => {
    await using world = await open();
    if (!world.runtime.facts.walls.uidRange) return context.skip("this user has one id");
    await writeFile(image(world, "tiny.tar"), await tarOf([...root, { name: "mine", uid: 33, gid: 34, content: "" }]));
    const id = await world.make({ image: "tiny" });
    assert.equal((await world.sh(id, "chown 7:8 /etc/passwd; stat -c %u:%g /mine /etc/passwd")).out, "33:34\n7:8\n");
    return undefined;
  });

  test("cannot be written in `strict`, but for its home", async () => {
    await using world = await open();
    await writeFile(image(world, "tiny.tar"), await tarOf(root));
    const id = await world.make({ image: "tiny", profile: "strict" });
    assert.match((await world.sh(id, "echo x > /etc/x")).out, /Read-only/);
    assert.equal((await world.sh(id, "echo x > /home/guest/x && cat /home/guest/x")).out, "x\n");
  });

  test("is put together from the layers of an OCI layout, with its variables", async () => {
    await using world = await open();
    const lower = [
      ...root,
      { name: "a/old", content: "1" },
      { name: "a/kept", content: "2" },
      { name: "b", content: "3" },
    ];
    const upper = [
      { name: "a/.wh.old", content: "" },
      { name: "b", content: "4" },
    ];
    await writeLayout(image(world, "laid"), [await tarOf(lower), await tarOf(upper)]);
    const id = await world.make({ image: "laid" });
    assert.equal((await world.sh(id, 'ls /a; cat /b; echo "$GREETING"')).out, "kept\n4hello there\n");
    execFileSync("tar", ["--create", "--file", image(world, "packed.tar"), "--directory", image(world, "laid"), "."]);
    const other = await world.make({ image: "packed" });
    assert.equal((await world.sh(other, "cat /b")).out, "4");
    assert.equal((await readdir(image(world, ".unpacked"))).length, 1, "the same digest is the same image");
  });

  test("is refused where a part is not what its digest says", async () => {
    await using world = await open();
    await writeLayout(image(world, "laid"), [await tarOf(root)]);
    for (const blob of await readdir(image(world, "laid/blobs/sha256")))
      await appendFile(image(world, `laid/blobs/sha256/${blob}`), "x");
    await assert.rejects(world.make({ image: "laid" }), { code: "bad-image" });
    await nothingLeft(world);
  });

  test("is refused where it names files outside of itself, or is no archive", async () => {
    await using world = await open();
    const bad: readonly Entry[][] = [
      [{ name: "../../escaped", content: "x" }],
      [{ name: "a/../../../escaped", content: "x" }],
      [{ name: "l", type: "link", linkname: "../../../etc/passwd" }],
    ];
    for (const [index, entries] of bad.entries()) {
      await writeFile(image(world, `bad${index}.tar`), await tarOf([...root, ...entries]));
      await assert.rejects(world.make({ image: `bad${index}` }), { code: "bad-image" });
    }
    await writeFile(image(world, "noise.tar"), Buffer.alloc(10_000, 7));
    await assert.rejects(world.make({ image: "noise" }), { code: "bad-image" });
    const whole = await tarOf(root);
    await writeFile(image(world, "half.tar"), whole.subarray(0, whole.length / 2));
    await assert.rejects(world.make({ image: "half" }), { code: "bad-image" });
    await nothingLeft(world);
  });

  test("puts nothing outside by links that lead there, and makes no device", async () => {
    await using world = await open();
    const outside = join(world.home, "outside");
    await mkdir(outside, { mode: 0o777 });
    const entries: Entry[] = [
      { name: "way", type: "symlink", linkname: outside },
      { name: "way/escaped", content: "x" },
      { name: "up", type: "symlink", linkname: "../../../../../../../../../../../tmp" },
      { name: "up/p2prc-escaped", content: "x" },
      { name: "disk", type: "block-device", devmajor: 8, devminor: 0 },
      { name: "pipe", type: "fifo" },
      { name: "suid", mode: 0o6755, content: "x" },
    ];
    await writeFile(image(world, "links.tar"), await tarOf([...root, ...entries]));
    const id = await world.make({ image: "links" }).catch(() => undefined); // either way it is fine, if nothing got out
    assert.deepEqual(await readdir(outside), []);
    await assert.rejects(stat("/tmp/p2prc-escaped"), { code: "ENOENT" });
    if (id !== undefined) assert.doesNotMatch((await world.sh(id, "ls /")).out, /disk|pipe/);
  });

  test("is said not to be there by its name, and never by a path", async () => {
    await using world = await open();
    for (const name of ["missing", "../secrets", "a/b", "-rf", "$(id)"]) {
      await assert.rejects(world.make({ image: name }), { code: "not-found" });
    }
    await nothingLeft(world);
  });
});

async function open(): Promise<BubblewrapWorld> {
  const world = await BubblewrapWorld.open();
  await mkdir(join(world.home, "images"));
  return world;
}

function image(world: BubblewrapWorld, name: string): string {
  return join(world.home, "images", name);
}

async function nothingLeft(world: BubblewrapWorld): Promise<void> {
  assert.deepEqual(await world.runtime.list(signal), []);
  assert.deepEqual(await readdir(image(world, ".unpacked")).catch(() => []), []);
}
