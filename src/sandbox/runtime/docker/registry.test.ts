import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { openRegistry } from "./registry.ts";

const { signal } = new AbortController();

describe("the registry that an engine pulls a pushed image from", { timeout: 20_000 }, () => {
  test("gives what the manifest names under its secret name, and nothing else, and to no other method", async () => {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-registry-"));
    await mkdir(join(folder, "blobs", "sha256"), { recursive: true });
    const put = async (content: string) => {
      const hex = createHash("sha256").update(content).digest("hex");
      await writeFile(join(folder, "blobs", "sha256", hex), content);
      return `sha256:${hex}`;
    };
    const [config, layer, other] = [await put("config"), await put("layer"), await put("another guest's")];
    const digest = await put(JSON.stringify({ config: { digest: config }, layers: [{ digest: layer }] }));
    const registry = await openRegistry({ digest, config, folder }, "secret", signal);
    const [host = "", pulled] = registry.reference.split("/p2prc/secret@");
    assert.equal(pulled, digest);
    const get = (path: string, method = "GET") => fetch(`http://${host}/v2/${path}`, { method });
    assert.equal((await get("")).status, 200);
    assert.equal(await (await get(`p2prc/secret/blobs/${layer}`)).text(), "layer");
    const head = await get(`p2prc/secret/manifests/${digest}`, "HEAD");
    assert.equal(head.headers.get("docker-content-digest"), digest);
    for (const path of [`p2prc/secret/blobs/${other}`, `p2prc/other/blobs/${layer}`, "p2prc/secret/blobs/../../x"])
      assert.equal((await get(path)).status, 404, path);
    assert.equal((await get(`p2prc/secret/blobs/${layer}`, "DELETE")).status, 405);
    await registry[Symbol.asyncDispose]();
    await assert.rejects(get(""));
    await rm(folder, { recursive: true });
  });
});
