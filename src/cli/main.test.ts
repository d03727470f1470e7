import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CliLab } from "../../test/support/cli-lab.ts";
import { Failure } from "../core/light.ts";
import { commands } from "./commands.ts";

describe("p2prc", () => {
  test("lists its commands when it is given none", async () => {
    const { exit, out } = await new CliLab().p2prc();
    assert.equal(exit, 0);
    assert.ok(out.some((line) => /^ {2}ls +list the nodes/.test(line)));
    assert.deepEqual((await new CliLab().p2prc("--help")).out, out);
    assert.deepEqual((await new CliLab().p2prc("help")).out, out);
  });

  test("explains each command, with an example", async () => {
    for (const { name, hidden } of commands) {
      if (hidden === true) continue;
      const { exit, out } = await new CliLab().p2prc(name, "--help");
      assert.equal(exit, 0, name);
      assert.match(out[0] ?? "", new RegExp(`^Usage: p2prc ${name}`));
      assert.match(out.join("\n"), /\nExamples:\n {2}\S/, name);
      assert.match(out.join("\n"), /--json/, name);
      assert.deepEqual((await new CliLab().p2prc("help", name)).out, out, name);
    }
  });

  test("prints JSON with --json where a person reads prose", async () => {
    const parsed = async (...words: string[]) => {
      const { out } = await new CliLab().p2prc(...words, "--json");
      return JSON.parse(out.join("\n")) as Record<string, unknown>;
    };
    const { commands: listed } = await parsed("help");
    assert.equal((listed as unknown[]).length, commands.filter(({ hidden }) => hidden !== true).length);
    assert.match(String((await parsed("help", "ls"))["text"]), /^Usage: p2prc ls/);
    assert.match(String((await parsed("completion", "bash"))["script"]), /complete -F/);
  });

  test("tells a failure as one line of JSON on stderr with --json, and with no other program's", async () => {
    const routes = { "GET /v1/status": new Failure("busy", "no room", { hint: "try\u001b again" }) };
    const { exit, out, err } = await new CliLab({ routes }).p2prc("status", "--json");
    assert.deepEqual([exit, out, err.length], [7, [], 1]);
    assert.deepEqual(JSON.parse(err[0] ?? ""), {
      error: { code: "busy", message: "no room", hint: "try\u001b again" },
    });
    assert.ok(err[0]?.includes("\\u001b"), "nothing reaches a terminal as it is");
    assert.equal((await new CliLab().p2prc("ls", "--json", "--no-such")).err.length, 1);
    assert.match((await new CliLab().p2prc("exec", "box", "--", "ls", "--json")).err[0] ?? "", /^p2prc: /);
  });

  test("suggests what an unknown command may have meant", async () => {
    assert.deepEqual(await new CliLab().p2prc("stauts"), {
      exit: 2,
      out: [],
      err: ['p2prc: unknown command "stauts"', "hint: did you mean `p2prc status`? `p2prc help` lists the commands"],
    });
  });

  test("suggests what an unknown option may have meant", async () => {
    assert.deepEqual(await new CliLab().p2prc("ls", "--srot", "rtt"), {
      exit: 2,
      out: [],
      err: ["p2prc: unknown option '--srot'", "hint: did you mean --sort?"],
    });
    assert.equal((await new CliLab().p2prc("--loud")).exit, 2);
  });

  test("takes an option that it does not know for one, also before a word", async () => {
    assert.equal((await new CliLab().p2prc("-touch", "x")).err[0], 'p2prc: unknown option "-touch"');
    assert.match((await new CliLab().p2prc("--json", "x")).err[0] ?? "", /unknown command \\"x\\"/);
  });

  test("takes an empty word for a missing one", async () => {
    for (const words of [
      ["ping", ""],
      ["join", " "],
      ["rename", "attic", ""],
    ])
      assert.match((await new CliLab().p2prc(...words)).err[0] ?? "", /^p2prc: <\w+> is empty$/, words.join());
  });

  test("shows the usage when an argument is missing or too many", async () => {
    assert.deepEqual((await new CliLab().p2prc("ping")).err, [
      "p2prc: missing required argument 'node'",
      "hint: usage: p2prc ping [options] <node>",
    ]);
    assert.deepEqual((await new CliLab().p2prc("ping", "a", "b")).exit, 2);
  });

  test("takes --home and --json before and after the command, and P2PRC_HOME", async () => {
    const routes = { "GET /v1/nodes": { value: { nodes: [], strangers: 0 } } };
    for (const words of [
      ["--home", "/x", "--json", "ls"],
      ["ls", "--json", "--home", "/x"],
    ]) {
      const lab = new CliLab({ routes });
      assert.deepEqual((await lab.p2prc(...words)).out, ['{"nodes":[],"strangers":0}']);
      assert.equal(lab.opened[0]?.home, "/x");
    }
    const named = new CliLab({ routes, environment: { P2PRC_HOME: "/y" } });
    await named.p2prc("ls");
    assert.equal(named.opened[0]?.home, "/y");
    const none = new CliLab({ routes });
    await none.p2prc("ls");
    assert.equal(none.opened[0]?.home, "/home/ada/.p2prc");
  });

  test("tells a failure in words with a hint, and exits with its code", async () => {
    const routes = {
      "GET /v1/nodes/attic": new Failure("unknown-node", 'no node is called "attic"', {
        hint: "`p2prc ls` lists them",
      }),
    };
    assert.deepEqual(await new CliLab({ routes }).p2prc("info", "attic"), {
      exit: 3,
      out: [],
      err: ['p2prc: no node is called "attic"', "hint: `p2prc ls` lists them"],
    });
  });

  test("shows no stack of a defect, unless it is asked for", async () => {
    const routes = { "GET /v1/nodes": { value: undefined } }; // an answer of another shape
    const lab = new CliLab({ routes });
    const { exit, err } = await lab.p2prc("ls");
    assert.equal(exit, 70);
    assert.doesNotMatch(err.join("\n"), /at .*\.ts/);
    assert.match(
      (await new CliLab({ routes, environment: { P2PRC_DEBUG: "1" } }).p2prc("ls")).err.join("\n"),
      /at .*\.ts/,
    );
  });

  test("ends with 130 when it is interrupted, and says nothing", async () => {
    const interrupt = new AbortController();
    const answer = () => {
      interrupt.abort();
      return new Failure("daemon-failed", "broke off");
    };
    const lab = new CliLab({ interrupt, routes: { "GET /v1/nodes": answer } });
    assert.deepEqual(await lab.p2prc("ls"), { exit: 130, out: [], err: [] });
  });

  test("prints no control characters of others", async () => {
    const routes = { "GET /v1/nodes/x": new Failure("unknown-node", "evil \u001b[2J\u202e words") };
    assert.deepEqual((await new CliLab({ routes }).p2prc("info", "x")).err, ["p2prc: evil [2J words"]);
  });

  test("tells a defect of the daemon from a failure that only a newer one knows", async () => {
    const answer = (code: string) => ({
      "GET /v1/nodes": { status: 500, text: JSON.stringify({ error: { code, message: "went wrong" } }) },
    });
    assert.equal((await new CliLab({ routes: answer("defect") }).p2prc("ls")).exit, 70);
    assert.deepEqual(await new CliLab({ routes: answer("moon-eclipsed") }).p2prc("ls"), {
      exit: 5,
      out: [],
      err: ["p2prc: went wrong"],
    });
  });

  test("restarts the daemon first with --restart", async () => {
    const lab = new CliLab({ routes: { "GET /v1/nodes": { value: { nodes: [], strangers: 0 } } } });
    await lab.p2prc("ls", "--restart");
    assert.equal(lab.opened[0]?.daemon, "restart");
  });
});
