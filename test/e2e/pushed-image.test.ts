/** A sandbox of an image that was pushed, in real walls. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { systemClock } from "../../src/base/index.ts";
import { Inside } from "../../src/sandbox/inside/inside.ts";
import { bubblewrapSkip, BubblewrapWorld } from "../support/bubblewrap-world.ts";
import { shellRoot, tarOf, writeLayout } from "../support/tiny-image.ts";

const { signal } = new AbortController();

describe("a sandbox of a pushed image", { skip: bubblewrapSkip(), timeout: 60_000 }, () => {
  test("sees its files, and leaves nothing once the image is let go of", async () => {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-pushed-"));
    await using world = await BubblewrapWorld.open();
    const root = await shellRoot(signal);
    await writeLayout(folder, [await tarOf([...root, { name: "etc/motd", content: "pushed\n" }])]);
    const index = JSON.parse(await readFile(join(folder, "index.json"), "utf8")) as { manifests: { digest: string }[] };
    const digest = index.manifests[0]?.digest ?? "";
    const pushed = { digest, config: digest, folder };
    const id = await world.make({ image: "mine", pushed });
    assert.equal((await world.sh(id, "cat /etc/motd")).out, "pushed\n");
    await world.runtime.remove(id, signal);
    await world.runtime.forgetImage?.(pushed, signal);
    assert.deepEqual(await readdir(join(world.home, "images", ".unpacked")), []);
    await rm(folder, { recursive: true });
  });

  test("without a shell says why there is no ssh", async () => {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-pushed-"));
    await using world = await BubblewrapWorld.open();
    const root = await shellRoot(signal);
    const bare = root.filter(({ name }) => !/(?:^|\/)(?:sh|dash|bash)$/u.test(name));
    await writeLayout(folder, [await tarOf(bare)]);
    const index = JSON.parse(await readFile(join(folder, "index.json"), "utf8")) as { manifests: { digest: string }[] };
    const digest = index.manifests[0]?.digest ?? "";
    const id = await world.make({ image: "bare", pushed: { digest, config: digest, folder } });
    await using inside = await Inside.open(await world.runtime.open(id, signal), { clock: systemClock }, signal);
    const setup = { hostSeed: Buffer.alloc(32, 7).toString("base64"), authorizedKeys: [] };
    await assert.rejects(inside.setUpSsh(setup, signal), {
      code: "not-supported",
      message: "ssh needs a shell, and the image has none at /bin/sh",
    });
    await rm(folder, { recursive: true });
  });
});
