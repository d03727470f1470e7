/** ssh, ssh-config, ssh-proxy, port and cp on the command line. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Duplex, duplexPair, PassThrough } from "node:stream";
import { buffer } from "node:stream/consumers";
import { describe, test } from "node:test";
import { CliLab } from "../../../test/support/cli-lab.ts";
import { box } from "../../../test/support/inside-lab.ts";
import { Failure } from "../../core/light.ts";

const id = box.sandbox.id;
const routes = { "GET /v1/boxes/box": { value: box } };

describe("p2prc ssh", () => {
  test("hands over to ssh, by the id, with words that it cannot take for options of its own", async () => {
    const lab = new CliLab({ routes });
    assert.equal((await lab.p2prc("ssh", "box", "--home", "/h", "--", "-oProxyCommand=x", "a b")).exit, 0);
    assert.deepEqual(lab.ran, [`ssh -F /h/ssh_config -- ${id}.p2prc -oProxyCommand=x a b`]);
    assert.deepEqual(lab.opened, [{ home: "/h" }]);
  });

  test("warns beside ssh that the sandbox ends soon", async () => {
    const value = { ...box, sandbox: { ...box.sandbox, endsSoon: true } };
    const ended = Promise.withResolvers<number>();
    const routes = { "GET /v1/boxes/box": { value }, [`GET /v1/boxes/${id}`]: { value } };
    const lab = new CliLab({ routes, attached: () => ended.promise });
    const ran = lab.p2prc("ssh", "box");
    while (lab.ran.length === 0) await new Promise((resolve) => setImmediate(resolve));
    for (let time = 0; time < 3; time++) await lab.clock.advance(10_000);
    ended.resolve(0);
    const { exit, err } = await ran;
    assert.equal(exit, 0);
    assert.equal(err.filter((line) => line.includes("p2prc extend box 2h")).length, 1, err.join("\n"));
  });

  test("ends as ssh ended", async () => {
    assert.equal((await new CliLab({ routes, attached: () => 42 }).p2prc("ssh", "box")).exit, 42);
  });

  test("says how to install ssh where there is none", async () => {
    const lab = new CliLab({
      routes,
      attached: () => undefined,
      run: (_, [tool]) => ({ code: tool === "dnf" ? 0 : 1, stdout: "", stderr: "" }),
    });
    const { exit, err } = await lab.p2prc("ssh", "box");
    assert.equal(exit, 5);
    assert.match(err.join("\n"), /sudo dnf install openssh-clients.*p2prc exec box/);
  });

  test("says why a sandbox has no ssh", async () => {
    const { hostKey: _, ...sandbox } = box.sandbox;
    const value = { ...box, sandbox: { ...sandbox, sshProblem: "no loader" } };
    const lab = new CliLab({ routes: { "GET /v1/boxes/box": { value } } });
    const { exit, err } = await lab.p2prc("ssh", "box");
    assert.deepEqual([exit, lab.ran], [5, []]);
    assert.match(err[0] ?? "", /no loader/);
  });
});

describe("p2prc ssh-proxy", () => {
  test("is a pipe for any bytes, each way ending by itself", async () => {
    const all = Buffer.from(Uint8Array.from({ length: 100_000 }, (_, at) => at % 256));
    const [near, far] = duplexPair();
    const stdout = new PassThrough();
    const stdin = new PassThrough();
    stdin.end(all);
    const streams = { stdin, stdout, stderr: new PassThrough(), setRaw: async () => undefined };
    const lab = new CliLab({ streams, connect: () => near });
    const ended = lab.p2prc("ssh-proxy", "--home", "/h", "box.attic.p2prc");
    assert.deepEqual(await buffer(far), all); // its end has come, and we have not said a word yet
    far.write(all);
    far.end("the end");
    stdout.on("data", (chunk: Buffer) => said.push(chunk));
    const said: Buffer[] = [];
    assert.equal((await ended).exit, 0);
    assert.deepEqual(Buffer.concat(said), Buffer.concat([all, Buffer.from("the end")]));
    assert.equal(lab.asked[0]?.route, "CONNECT box-ssh:box@attic");
    assert.deepEqual(lab.opened, [{ home: "/h", quiet: true }]);
  });

  test("takes no host that is none of ours", async () => {
    for (const host of ["example.org", "box", "-x.p2prc;", "a.b.c.p2prc", "$(x).p2prc"])
      assert.equal((await new CliLab().p2prc("ssh-proxy", "--", host)).exit, 2, host);
  });

  test("says why there is no way in", async () => {
    const lab = new CliLab({ connect: () => new Failure("not-found", "you have no sandbox") });
    const { exit, err } = await lab.p2prc("ssh-proxy", "box.p2prc");
    assert.deepEqual([exit, err[0]], [3, "p2prc: you have no sandbox"]);
  });
});

describe("p2prc ssh-config", () => {
  test("shows the path and the line, puts it in, takes it out", async () => {
    const userFolder = await mkdtemp(join(tmpdir(), "p2prc-ssh-config-"));
    const lab = new CliLab({ userFolder });
    const own = join(userFolder, ".ssh", "config");
    const included = async () =>
      (JSON.parse((await lab.p2prc("ssh-config", "--home", "/h", "--json")).out[0] ?? "") as { included: boolean })
        .included;
    const { out } = await lab.p2prc("ssh-config", "--home", "/h");
    assert.match(out.join("\n"), /\/h\/ssh_config\n.*Include "\/h\/ssh_config"\n.*--install/);
    assert.deepEqual([await included(), existsSync(own)], [false, false]);
    await mkdir(join(userFolder, ".ssh"));
    await writeFile(own, "User me\n");
    await lab.p2prc("ssh-config", "--home", "/h", "--install");
    assert.equal(await readFile(own, "utf8"), 'Include "/h/ssh_config"\nUser me\n');
    assert.equal(await included(), true);
    await lab.p2prc("ssh-config", "--home", "/h", "--uninstall");
    assert.equal(await readFile(own, "utf8"), "User me\n");
    assert.equal((await lab.p2prc("ssh-config", "--install", "--uninstall")).exit, 2);
    await rm(userFolder, { recursive: true });
  });

  test("leaves no line behind when p2prc goes", async () => {
    const userFolder = await mkdtemp(join(tmpdir(), "p2prc-ssh-config-"));
    const home = join(userFolder, ".p2prc");
    await mkdir(home);
    await writeFile(join(home, "key"), "k".repeat(32));
    await writeFile(join(home, "state.sqlite"), "");
    const lab = new CliLab({ userFolder });
    await lab.p2prc("ssh-config", "--install");
    const { exit, err } = await lab.p2prc("uninstall", "--yes");
    assert.equal(exit, 0, err.join("\n"));
    assert.match(err.join("\n"), /\.ssh\/config: Include/);
    assert.equal(await readFile(join(userFolder, ".ssh", "config"), "utf8"), "");
    await rm(userFolder, { recursive: true });
  });
});

describe("p2prc port", () => {
  const opened = { internal: 8080, host: "127.0.0.1", local: 40_002, url: "http://box.p2prc.localhost:8087/?t=x" };
  const all = {
    ...routes,
    "POST /v1/boxes/box/ports": { value: opened },
    "DELETE /v1/boxes/box/ports/8080": { value: box },
    "GET /v1/boxes?ask=false": { value: { boxes: [box] } },
  };

  test("opens one, where it is told to", async () => {
    const lab = new CliLab({ routes: all });
    const { out } = await lab.p2prc("port", "box", "8080");
    assert.deepEqual(out, ["127.0.0.1:40002 -> box:8080", opened.url]);
    await lab.p2prc("port", "box", "8080/tcp", "--local", "0");
    await lab.p2prc("port", "box", "8080", "--unix", "/tmp/a/../s");
    assert.deepEqual(
      lab.asked.filter(({ route }) => route.startsWith("POST")).map(({ body }) => body),
      [{ internal: 8080 }, { internal: 8080, local: 0 }, { internal: 8080, path: "/tmp/s" }],
    );
  });

  test("lists them, and closes one", async () => {
    const lab = new CliLab({ routes: all });
    const { out } = await lab.p2prc("port", "ls");
    assert.match(out.join("\n"), /^box +attic +40001 +127\.0\.0\.1:40001 +-$/m);
    assert.equal((await lab.p2prc("port", "ls", "box")).out.length, 2);
    assert.match(
      (await lab.p2prc("port", "ls", "--json")).out[0] ?? "",
      /^\{"box":"box","node":"attic","internal":40001/,
    );
    assert.deepEqual((await lab.p2prc("port", "rm", "box", "8080")).out, ["port 8080 of box is closed here"]);
  });

  test("publishes one, says who can reach it, and takes it back", async () => {
    const published = { internal: 8080, public: 8080, host: "192.0.2.7" };
    const lab = new CliLab({
      routes: {
        ...all,
        "POST /v1/boxes/box/publish": { value: published },
        "DELETE /v1/boxes/box/publish/8080": { value: box },
      },
    });
    const { out, err } = await lab.p2prc("port", "box", "8080", "--publish");
    assert.deepEqual(out, ["192.0.2.7:8080 -> box:8080"]);
    assert.match(err.join("\n"), /everybody who reaches attic can connect to it/);
    await lab.p2prc("port", "box", "8080", "--publish", "9000");
    assert.deepEqual(
      lab.asked.filter(({ route }) => route.startsWith("POST")).map(({ body }) => body),
      [{ port: 8080 }, { port: 8080, public: 9000 }],
    );
    const removed = await lab.p2prc("port", "rm", "box", "8080", "--publish");
    assert.deepEqual(removed.out, ["port 8080 of box is no longer published"]);
  });

  for (const [words, exit] of [
    ["box 8080/udp", 5],
    ["box 53/udp --publish", 5],
    ["box 8080 --publish 80", 2],
    ["box 8080 --publish --local 1", 2],
    ["box 0", 2],
    ["box 65536", 2],
    ["box 8080/sctp", 2],
    ["box", 2],
    ["box 80 81", 2],
    ["rm box", 2],
    ["rm", 2],
    ["ls a b", 2],
    ["box 80 --local 70000", 2],
    ["box 80 --local 1 --unix /s", 2],
  ] as const) {
    test(`refuses ${words} before anybody is asked`, async () => {
      const lab = new CliLab({ routes: all });
      const ended = await lab.p2prc("port", ...words.split(" "));
      assert.deepEqual([ended.exit, lab.asked], [exit, []]);
    });
  }
});

describe("p2prc cp", () => {
  for (const words of ["a b", "box:a box:b", "box:a"]) {
    test(`refuses ${words} before anybody is asked`, async () => {
      const lab = new CliLab();
      assert.equal((await lab.p2prc("cp", ...words.split(" "))).exit, 2);
      assert.deepEqual(lab.asked, []);
    });
  }

  test("asks for paths as they are, and tells what came of it", async () => {
    const here = await mkdtemp(join(tmpdir(), "p2prc-cp-"));
    await writeFile(join(here, "file"), "12345");
    const answers: Record<string, unknown> = {
      "CONNECT box-files:my@node/get/out%2Fa%20b%3F?stat&follow": undefined,
      "CONNECT box-files:my@node/get/out?stat&follow": { kind: "folder", size: 1, mtimeMs: 1, mode: 0o755 },
      "CONNECT box-files:my@node/put/out%2Fa%20b%3F": { files: 1, bytes: 5, sha256: "" },
    };
    const lab = new CliLab({
      connect: (target) => answering(answers[`CONNECT ${target.replace(/\?offset.*/, "")}`]),
    });
    const { exit, out, err } = await lab.p2prc("cp", join(here, "file"), "my@node:out/a b?", "--json");
    await rm(here, { recursive: true });
    assert.equal(exit, 0, err.join("\n"));
    assert.deepEqual(JSON.parse(out[0] ?? ""), { entries: 1, bytes: 5, path: "out/a b?" });
  });

  test("says which side has no such file", async () => {
    const lab = new CliLab({ connect: () => answering(undefined) });
    assert.match((await lab.p2prc("cp", "/no/such/file", "box:")).err[0] ?? "", /no such file or folder here/);
    const { exit, err } = await lab.p2prc("cp", "box:nothing", "/tmp");
    assert.deepEqual([exit, err[0]], [3, 'p2prc: no such file or folder in the sandbox: "box:nothing"']);
  });
});

function answering(value: unknown): Duplex {
  const [near, far] = duplexPair();
  far.resume();
  far.end(JSON.stringify(value ?? { error: { code: "not-found", message: "reading: no such file or folder" } }));
  return near;
}
