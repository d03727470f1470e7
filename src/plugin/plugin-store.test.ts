import assert from "node:assert/strict";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { differenceOf } from "./difference.ts";
import { PluginStore } from "./plugin-store.ts";
import { readPlugin } from "./read-plugin.ts";
import { readYaml } from "./read-yaml.ts";

const { signal } = new AbortController();
const SITE = "- hosts: all\n";
let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "p2prc-store-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

describe("the store of plugins", () => {
  test("keeps what it was given, under its own name, and finds it by the start of it", async () => {
    const store = open();
    await store.add(
      await made("p2prc-vscode-browser", {
        "site.yml": SITE,
        "description.txt": "VS Code\n",
        "ports.json": '{"NumOfPorts":2}',
      }),
      {},
      signal,
    );
    await store.add(
      await made("other", { "site.yml": SITE, "plugin.json": '{"name":"called","description":"x"}' }),
      {},
      signal,
    );
    const names = (await open().list()).map(({ name }) => name);
    assert.deepEqual(names, ["called", "vscode-browser"]);
    const { form, description, ports } = await store.find("vscode");
    assert.deepEqual([form, description, ports], ["seed", "VS Code", [{ name: "port0" }, { name: "port1" }]]);
    assert.equal(await store.remove("called"), "called");
    await assert.rejects(store.find("called"), { code: "not-found" });
  });

  test("lists the others where one is broken, and takes that one away", async () => {
    const store = open();
    for (const name of ["one", "two", "three"]) await store.add(await made(name, { "site.yml": SITE }), {}, signal);
    await writeFile(join(folder, "home/plugins/two/about.json"), "{");
    await rm(join(folder, "home/plugins/three/files"), { recursive: true });
    const listed = await store.list();
    assert.deepEqual(
      listed.map((each) => ["problem" in each, each.name]),
      [
        [false, "one"],
        [true, "three"],
        [true, "two"],
      ],
    );
    await assert.rejects(store.find("two"), { code: "bad-argument" });
    assert.equal(await store.remove("two"), "two");
  });

  test("keeps nothing of what it refuses", async () => {
    const store = open({ maxPlugins: 1 });
    await assert.rejects(store.add(await made("empty", {}), {}, signal), { code: "bad-argument" });
    await assert.rejects(store.add(join(folder, "nowhere"), {}, signal), { code: "not-found" });
    await assert.rejects(store.add("http://example.org/x", {}, signal), { code: "not-allowed" });
    await assert.rejects(store.add("ext::sh -c id", {}, signal), { code: "not-allowed" });
    await assert.rejects(store.add(await made("x", { "site.yml": SITE }), { name: "../x" }, signal), {
      code: "bad-name",
    });
    await store.add(join(folder, "x"), {}, signal);
    await assert.rejects(store.add(join(folder, "x"), {}, signal), { code: "conflict" });
    await assert.rejects(store.add(await made("y", { "site.yml": SITE }), {}, signal), { code: "too-large" });
    assert.deepEqual(await readdir(join(folder, "home/plugins")), ["x"]);
  });

  test("forgets that it was agreed to once it is another", async () => {
    const store = open();
    const from = await made("x", { "site.yml": SITE });
    await store.agree(await store.add(from, {}, signal));
    const before = await store.find("x");
    assert.equal(before.agreed, before.digest);
    await writeFile(join(from, "site.yml"), `${SITE}# more\n`);
    await writeFile(join(from, "new.txt"), "hello");
    await using fetched = await store.fetchAgain(before, signal);
    assert.deepEqual(await differenceOf(store.filesOf("x"), fetched.files), [
      ...["+ new.txt", "+ hello", "~ site.yml", "+ # more"],
    ]);
    const { agreed, digest } = await store.keep(fetched);
    assert.ok(agreed === undefined && digest !== before.digest);
  });
});

describe("a plugin", () => {
  for (const [what, files, said] of [
    ["JSON that is none", { "plugin.json": "{" }, /not JSON/],
    ["YAML that is none", { "plugin.yaml": "a: [" }, /not YAML/],
    ["YAML that grows", { "plugin.yaml": "a: &a [x]\nb: *a\n" }, /aliases/],
    ["a number that is none", { "plugin.yaml": "description: x\nneeds: {cpus: .nan}\n" }, /not YAML: a number in it/],
    ["a number without an end", { "plugin.yaml": "description: x\nneeds: {cpus: .inf}\n" }, /not YAML: a number in it/],
    ["words that it does not know", { "plugin.json": '{"description":"","run":"rm"}' }, /wrong/],
    ["a playbook elsewhere", { "plugin.json": '{"description":"","playbook":"../x.yml"}' }, /wrong at \/playbook/],
    ["a playbook that is not there", { "plugin.json": '{"description":"","playbook":"x.yml"}' }, /no x\.yml/],
    [
      "a parameter of Ansible's own",
      { "plugin.json": '{"description":"","parameters":{"ansible_host":{"type":"string"}}}' },
      /wrong/,
    ],
    [
      "a default that does not fit",
      { "plugin.json": '{"description":"","parameters":{"n":{"type":"integer","default":"x"}}}' },
      /default of n/,
    ],
    ["two ports of one name", { "plugin.json": '{"description":"","ports":[{"name":"a"},{"name":"a"}]}' }, /two ports/],
    ["a URL of no port", { "plugin.json": '{"description":"","urls":[{"port":"a"}]}' }, /URL of a port/],
    ["no number of ports", { "ports.json": '{"NumOfPorts":"1"}' }, /how many ports/],
    ["too many ports", { "ports.json": '{"NumOfPorts":101}' }, /how many ports/],
  ] as const) {
    test(`with ${what} is refused in words`, async () => {
      await assert.rejects(readPlugin(await made("x", { "site.yml": SITE, ...files }), signal), said);
    });
  }

  test("whose YAML takes too long is refused, and says so", async () => {
    const slow = readYaml({ name: "plugin.yaml", source: "a: 1\n", timeMs: 1 }, signal);
    await assert.rejects(slow, {
      code: "bad-argument",
      message: "plugin.yaml was not read: it takes longer than 0.001 s",
    });
  });

  test("may say what it is in YAML", async () => {
    const yaml =
      "description: |\n  Two\n  lines\nparameters:\n  port: {type: integer, default: 80}\nneeds: {memory: 2G, network: none}\n";
    const plugin = await readPlugin(await made("x", { "site.yml": SITE, "plugin.yaml": yaml }), signal);
    assert.deepEqual([plugin.form, plugin.needs], ["manifest", { memory: "2G", network: "none" }]);
    assert.deepEqual(plugin.parameters, { port: { type: "integer", default: 80 } });
  });
});

function open(more: { readonly maxPlugins?: number } = {}): PluginStore {
  return new PluginStore({ home: join(folder, "home"), clock: new VirtualClock(), ...more });
}

async function made(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const path = join(folder, name);
  await mkdir(path, { recursive: true });
  for (const [file, content] of Object.entries(files)) await writeFile(join(path, file), content);
  return path;
}
