import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { PluginManifest, PluginStore } from "../../src/plugin/index.ts";
import { systemClock } from "../../src/base/index.ts";
import { pluginSchema } from "../support/plugin-schema.ts";
import { read } from "./repository.ts";

const page = read("docs/plugins.md");

describe("docs/plugins.md and docs/plugin.schema.json", () => {
  test("have the schema that manifests are held against", () => {
    assert.equal(read("docs/plugin.schema.json"), pluginSchema(), "run `node tools/plugin-schema.ts`");
  });

  test("name every word of a manifest", () => {
    for (const word of Object.keys(PluginManifest.properties)) {
      assert.ok(word === "$schema" || page.includes(`\`${word}\``), `docs/plugins.md does not name ${word}`);
    }
  });

  test("have an example that is a plugin", async () => {
    const [, manifest = ""] = /```yaml\n(description: [\s\S]*?)```/u.exec(page) ?? [];
    const folder = await mkdtemp(join(tmpdir(), "p2prc-docs-"));
    try {
      const example = join(folder, "example");
      await mkdir(example);
      await writeFile(join(example, "plugin.yaml"), manifest);
      await writeFile(join(example, "site.yml"), "- hosts: all\n");
      const store = new PluginStore({ home: join(folder, "home"), clock: systemClock });
      const added = await store.add(example, {}, new AbortController().signal);
      assert.deepEqual(Object.keys(added.parameters), ["password", "workers"]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
