import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CliLab } from "../../test/support/cli-lab.ts";
import { nodeRow } from "../../test/support/node-row.ts";
import { commands } from "./commands.ts";

const routes = {
  "GET /v1/nodes": {
    value: {
      nodes: [
        nodeRow({ name: "attic" }),
        nodeRow({ name: "barn" }),
        nodeRow({ name: "$(reboot)" }),
        nodeRow({ name: "--yes" }),
      ],
      strangers: 0,
    },
  },
};

async function completed(...words: string[]): Promise<string[]> {
  const { out } = await new CliLab({ routes }).p2prc("__complete", ...words);
  return out.map((line) => line.split("\t")[0] ?? "");
}

describe("completion", () => {
  test("offers all commands, and those that begin as typed", async () => {
    assert.equal((await completed("")).length, commands.filter(({ hidden }) => hidden !== true).length);
    assert.deepEqual(await completed("inv"), ["invite", "invites"]);
    assert.deepEqual(await completed("--home", "/x", "sta"), ["status"]);
  });

  test("offers the options of a command and those of all", async () => {
    assert.deepEqual(await completed("ls", "--"), ["--sort", "--all", "--explain", "--home", "--json", "--restart"]);
    assert.deepEqual(await completed("ls", "--so"), ["--sort"]);
  });

  test("offers the values of an option", async () => {
    assert.deepEqual(await completed("ls", "--sort", ""), ["rtt", "down", "up"]);
    assert.deepEqual(await completed("ls", "--sort", "d"), ["down"]);
    assert.deepEqual(await completed("ls", "--home", "/t"), [":files"]);
    assert.deepEqual(await completed("update", "--hops", ""), []);
  });

  test("offers the names of nodes, without those that a shell would run", async () => {
    assert.deepEqual(await completed("ping", ""), ["attic", "barn"]);
    assert.deepEqual(await completed("ping", "--count", "3", "b"), ["barn"]);
    assert.deepEqual(await completed("rename", "attic", ""), []);
  });

  test("offers what an argument may be", async () => {
    assert.deepEqual(await completed("lend", "o"), ["on", "off"]);
    assert.deepEqual(await completed("completion", ""), ["bash", "zsh", "fish"]);
    assert.deepEqual(await completed("help", "up"), ["update"]);
  });

  test("asks the daemon of the home that was typed, and never starts one", async () => {
    const lab = new CliLab({ routes });
    await lab.p2prc("__complete", "ping", "--home", "/x", "");
    assert.deepEqual(lab.opened, [{ home: "/x", daemon: "never", quiet: true }]);
  });

  test("is silent when the daemon fails", async () => {
    assert.deepEqual(await new CliLab().p2prc("__complete", "ping", ""), { exit: 0, out: [], err: [] });
  });

  test("is silent when the daemon takes longer than 300 ms", async () => {
    const lab = new CliLab({ hangs: true });
    const ended = lab.p2prc("__complete", "ping", "");
    await lab.clock.advance(300);
    assert.deepEqual(await ended, { exit: 0, out: [], err: [] });
  });

  test("of a line that begins with an option goes on", async () => {
    assert.deepEqual(await completed("--js"), ["--json"]);
  });
});
