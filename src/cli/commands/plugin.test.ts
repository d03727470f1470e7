import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, test } from "node:test";
import { CliLab } from "../../../test/support/cli-lab.ts";
import { box } from "../../../test/support/inside-lab.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import type { Client } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import { Progress, type StoredPlugin, type Target } from "../../plugin/index.ts";
import type { Io } from "../io.ts";
import { Grid } from "../plugin/grid.ts";
import { choosePorts, makeReady } from "../plugin/targets.ts";

let folder = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "p2prc-plugin-cli-"));
});
afterEach(async () => await rm(folder, { recursive: true, force: true }));

describe("p2prc plugin", () => {
  test("adds, lists, shows, updates and removes", async () => {
    const lab = new CliLab({ environment: { P2PRC_HOME: join(folder, "home") } });
    const from = await made("p2prc-code", "- hosts: all\n");
    assert.match((await lab.p2prc("plugin", "add", from)).out[0] ?? "", /^code is added \(my own\)/);
    assert.match((await lab.p2prc("plugin", "ls")).out[1] ?? "", /^code +my own +1 +A server$/);
    assert.match((await lab.p2prc("plugin", "show", "code")).out.join("\n"), /^Ports: +port0$/m);
    assert.deepEqual((await lab.p2prc("plugin", "update", "code")).out, ["code is as it was"]);
    await writeFile(join(from, "site.yml"), "- hosts: some\n");
    const { out } = await lab.p2prc("plugin", "update", "code");
    assert.deepEqual(out, ["~ site.yml", "- - hosts: all", "+ - hosts: some", "code is new (my own)"]);
    assert.deepEqual(JSON.parse((await lab.p2prc("--vp")).out.join("\n")), {
      PluginsDetected: [{ FolderName: "code", PluginDescription: "A server", Execute: null, NumOfPorts: 1 }],
    });
    assert.deepEqual((await lab.p2prc("--rp", "code")).out, ["removed code", "Success"]);
    assert.equal((await lab.p2prc("plugin", "show", "code")).exit, 3);
  });

  test("says how to get Ansible where there is none", async () => {
    const environment = { P2PRC_HOME: join(folder, "home"), PATH: join(folder, "nothing") };
    const lab = new CliLab({ environment, routes: { "GET /v1/boxes/box": { value: box } } });
    await lab.p2prc("plugin", "add", await made("code", "- hosts: all\n"));
    const { exit, err } = await lab.p2prc("plugin", "run", "code", "box");
    assert.equal(exit, 5);
    assert.match(err.join("\n"), /no ansible-playbook.*\n.*sudo apt-get install ansible-core/);
  });

  for (const words of ["add", "show", "run code", "rm", "update", "run code box -p x", "run code box --forks 0"]) {
    test(`refuses "${words}" before anything is done`, async () => {
      const lab = new CliLab({ environment: { P2PRC_HOME: join(folder, "home") } });
      assert.equal((await lab.p2prc("plugin", ...words.split(" "))).exit, 2);
    });
  }
});

describe("sandboxes of a run", () => {
  const targets = ["box1", "box2", "box3"].map((name) => ({ id: name, name }) as Target);
  const plugin = { form: "manifest", needs: {} } as StoredPlugin;
  const client = { exec: async (id: string) => await inside(id) } as unknown as Client;
  const ready = (ids: readonly string[], io: Io) => {
    const named = targets.filter(({ id }) => ids.includes(id));
    return makeReady(client, { plugin, playbook: "", targets: named, anyway: false, check: false }, io);
  };

  test("are looked into, and left to Ansible where some do not answer", async () => {
    const lab = new LookLab();
    const done = ready(["box1", "box2", "box3"], lab.io);
    await lab.clock.advance(20_001);
    await done;
    assert.deepEqual(lab.said, ["box2: attic does not answer", "box3: box3 does not answer"]);
  });

  test("are refused where none answers", async () => {
    const lab = new LookLab();
    await assert.rejects(ready(["box2"], lab.io), { code: "unreachable" });
    const late = assert.rejects(ready(["box3"], lab.io), { code: "timed-out", message: "box3 does not answer" });
    await lab.clock.advance(20_001);
    await late;
    assert.deepEqual(lab.said, []);
  });

  /** box1 answers, box2 cannot be reached, box3 is frozen. */
  async function inside(id: string) {
    if (id === "box2") throw new Failure("unreachable", "attic does not answer");
    return {
      send: async () => undefined,
      frames: async function* () {
        if (id === "box3") await new Promise(() => undefined);
        yield { kind: "stdout", content: Buffer.from("users 65536\npython\n") };
        yield { kind: "end", content: Buffer.from('{"code":0}') };
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
});

class LookLab {
  readonly clock = new VirtualClock();
  readonly said: string[] = [];
  readonly io = {
    clock: this.clock,
    signal: new AbortController().signal,
    progress: () => undefined,
    err: (line: string) => void this.said.push(line),
  } as unknown as Io;
}

describe("ports of a run", () => {
  test("are those that all sandboxes have, else others; never one twice", () => {
    const target = (ports: readonly number[]) => ({ ports }) as unknown as Parameters<typeof choosePorts>[1][number];
    assert.deepEqual(
      choosePorts([undefined, undefined], [target([40_001, 40_002]), target([40_002])]),
      [40_002, 20_080],
    );
    assert.deepEqual(choosePorts([20_080, undefined], [target([])]), [20_080, 20_081]);
    assert.deepEqual(choosePorts([], [target([1])]), []);
  });
});

describe("the grid", () => {
  test("shows tasks by their marks, failures with their last lines, and nothing that moves the cursor", () => {
    const progress = new Progress(["box1", "box2"]);
    progress.take({ kind: "task", task: 1, name: "apt\u001b[2J", start: "apt" });
    progress.take({ kind: "ok", host: "box1", task: 1, changed: true, code: 0, words: "" });
    progress.take({
      kind: "failed",
      host: "box2",
      task: 1,
      changed: false,
      code: 100,
      words: "E: no\u001b[31m such\nlast",
    });
    progress.take({ kind: "host", host: "box1", done: true, changed: 1 });
    const said: string[] = [];
    const io = { out: (line: string) => said.push(line), clear: () => undefined, interactive: false } as unknown as Io;
    new Grid(io).end(progress, new Map([["box1", ["http://x/"]]]));
    assert.deepEqual(said, [
      "box1  ✓ apt[2J   http://x/",
      "box2  ✗ apt[2J",
      "    exit 100: E: no[31m such",
      "    last",
    ]);
  });
});

async function made(name: string, site: string): Promise<string> {
  const path = join(folder, name);
  await mkdir(path);
  await writeFile(join(path, "site.yml"), site);
  await writeFile(join(path, "description.txt"), "A server\n");
  await writeFile(join(path, "ports.json"), '{"NumOfPorts":1}');
  return path;
}
