/** A sandbox of an image that was pushed, in real walls. */

import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
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
});
