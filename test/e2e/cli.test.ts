import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdir, stat } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { type Said, Machines } from "../support/machines.ts";

describe("the program and its daemon", { timeout: 240_000 }, () => {
  test("makes a home that is closed to others", async () => {
    await using machines = await Machines.open();
    await machines.run("attic", ["ls"]);
    assert.equal((await stat(machines.homeOf("attic"))).mode & 0o777, 0o700);
  });

  test("starts one daemon when four commands want it at once", async () => {
    await using machines = await Machines.open();
    const said = await Promise.all([1, 2, 3, 4].map(() => machines.run("attic", ["lend", "--json"])));
    assert.deepEqual(
      said.map(({ exit }) => exit),
      [0, 0, 0, 0],
    );
    await untilTrue(() => processesWith(machines.homeOf("attic")) === 1); // those that gave way are gone soon
    const ids = await Promise.all([1, 2].map(() => status(machines, "attic")));
    assert.equal(ids[0]?.pid, ids[1]?.pid);
  });

  test("starts another one after kill -9, with the same key", async () => {
    await using machines = await Machines.open();
    const before = await status(machines, "attic");
    process.kill(before.pid, "SIGKILL");
    await gone(before.pid);
    assert.equal((await machines.run("attic", ["status"])).exit, 5);
    const after = await status(machines, "attic");
    assert.deepEqual([after.id, after.pid === before.pid], [before.id, false]);
  });

  test("says who has the port, and starts nothing", async () => {
    await using machines = await Machines.open();
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const { exit, lines } = await machines.run("attic", ["serve", "--port", String(port)]);
    other.close();
    assert.equal(exit, 5, lines.join("\n"));
    assert.match(lines.join("\n"), new RegExp(`^p2prc: .*${port}`, "m"));
    assert.equal(processesWith(machines.homeOf("attic")), 0);
  });

  test("works in a home with a path of 200 characters", async () => {
    await using machines = await Machines.open();
    const home = join(machines.folder, "a home/".repeat(30));
    const said = await machines.run("attic", ["lend", "--home", home, "--json"]);
    assert.deepEqual([said.exit, said.lines.at(-1)], [0, '{"lends":false}'], said.lines.join("\n"));
    assert.deepEqual((await machines.run("attic", ["stop", "--home", home])).exit, 0);
  });

  test("lends again after a restart where it lent before", async () => {
    await using machines = await Machines.open();
    await machines.run("attic", ["serve", "--detach"]);
    const before = await status(machines, "attic");
    const { exit, lines } = await machines.run("attic", ["lend", "--restart", "--json"]);
    assert.deepEqual([exit, lines.at(-1)], [0, '{"lends":true}'], lines.join("\n"));
    assert.notEqual((await status(machines, "attic")).pid, before.pid);
  });

  test("notices a daemon of another version, and restarts it when it is told to", async () => {
    await using machines = await Machines.open();
    await mkdir(machines.homeOf("attic"), { recursive: true, mode: 0o700 });
    const fake = join(import.meta.dirname, "../support/fake-daemon.ts");
    const old = spawn(process.execPath, [fake, "--home", machines.homeOf("attic"), "--version", "0.0.9"], {
      stdio: "ignore",
    });
    await untilTrue(() => existsSync(join(machines.homeOf("attic"), "socket")));
    const noticed = await machines.run("attic", ["lend", "--json"]);
    assert.match(
      noticed.lines.join("\n"),
      /the daemon that runs is version 0\.0\.9, this program \d.*`p2prc status --restart` restarts it/,
    );
    const restarted = await machines.run("attic", ["ls", "--json", "--restart"]);
    assert.deepEqual(
      [restarted.exit, restarted.lines.at(-1)],
      [0, '{"nodes":[],"strangers":0}'],
      restarted.lines.join("\n"),
    );
    await untilTrue(() => old.exitCode !== null);
  });

  test("ends quietly when its reader has seen enough", async () => {
    await using machines = await Machines.open();
    const help = await machines.start("attic", ["help"]);
    help.child.stdout?.destroy();
    const { exit, lines } = await help.ended;
    assert.deepEqual([exit, lines.filter((line) => line.includes("EPIPE"))], [0, []]);
  });

  test("ends with 130 at Ctrl-C in the middle of something", async () => {
    await using machines = await Machines.open();
    await machines.run("attic", ["lend"]);
    const nobody = createServer().listen(0, "127.0.0.1"); // accepts, and never says a word
    await once(nobody, "listening");
    const adding = await machines.start("attic", ["add", `127.0.0.1:${(nobody.address() as AddressInfo).port}`]);
    await once(nobody, "connection");
    adding.child.kill("SIGINT");
    const { exit, lines } = await adding.ended;
    nobody.close();
    assert.deepEqual([exit, lines], [130, []]);
  });
});

describe("p2prc demo", { timeout: 240_000 }, () => {
  test("plays to its end and leaves nothing behind", async () => {
    await using machines = await Machines.open();
    const playing = await machines.start("here", ["demo"], { maxMs: 120_000 });
    const { exit, lines } = await playing.ended;
    assert.equal(exit, 0, lines.join("\n"));
    const text = lines.join("\n");
    assert.match(text, /2 nodes of 2 answered in \S+ \w+, over 2 hops; 1 new/);
    assert.match(text, /added cellar: it is a friend of this node now/);
    assert.match(text, /3 sent, 0 lost/);
    assert.match(text, /Down: {2}[\d.]+ MB\/s/);
    assert.match(
      text,
      /box on barn {3}running .*\nattic\$ ssh .*\nbox\n.*\nattic\$ cat answer\n42\n.*\nremoved box from barn\n/s,
    );
    const strips = ["attic", "barn", "cellar"].map(
      (node) => new RegExp(`^tile\\d +${node} +(\\d+)`, "m").exec(text)?.[1],
    );
    assert.equal(
      strips.reduce((sum, count) => sum + Number(count), 0),
      12,
      text,
    );
    const picture = /is here until you remove it: (\S+)/.exec(text)?.[1] ?? "";
    const { width, height } = sizeOfPng(readFileSync(picture));
    assert.deepEqual([width, height], [640, 360]);
    assert.deepEqual(leftOvers(machines.folder), []);
    assert.equal(existsSync(machines.homeOf("here")), false);
  });

  test("leaves nothing behind when its reader has seen enough", async () => {
    await using machines = await Machines.open();
    const playing = await machines.start("here", ["demo"]);
    await playing.until((lines) => lines.some((line) => line.startsWith("barn$ p2prc serve")));
    playing.child.stdout?.destroy();
    const { exit } = await playing.ended;
    assert.equal(exit, 0);
    assert.deepEqual(leftOvers(machines.folder), []);
  });

  test("leaves nothing behind when it is interrupted", async () => {
    await using machines = await Machines.open();
    const playing = await machines.start("here", ["demo"]);
    await playing.until((lines) => lines.some((line) => line.startsWith("barn$ p2prc invite")));
    playing.child.kill("SIGINT");
    const { exit } = await playing.ended;
    assert.equal(exit, 130);
    assert.deepEqual(leftOvers(machines.folder), []);
  });
});

describe("what the README says beside the commands", { timeout: 120_000 }, () => {
  test("curl reads the public description over HTTP/2 and 1.1, and nothing else from outside", async () => {
    await using machines = await Machines.open();
    await machines.run("attic", ["serve", "--detach"]);
    const { id, listening } = await status(machines, "attic");
    const outside = `https://${listening[0]}`;
    for (const [flag, version] of [
      ["--http2", "2"],
      ["--http1.1", "1.1"],
    ] as const) {
      const said = await curl([
        flag,
        "--insecure",
        "--write-out",
        "\n%{http_version} %{http_code}",
        `${outside}/v1/node`,
      ]);
      assert.match(said, new RegExp(`${id}[\\s\\S]*\\n${version} 200$`));
      for (const path of ["/metrics", "/v1/openapi.json", "/v1/status"])
        assert.match(await curl([flag, "--insecure", "--write-out", " %{http_code}", outside + path]), / 404$/, path);
    }
  });

  test("curl reads metrics, the OpenAPI document and the status on the socket in the home", async () => {
    await using machines = await Machines.open();
    await machines.run("attic", ["ls"]);
    const socket = ["--unix-socket", join(machines.homeOf("attic"), "socket")];
    assert.match(await curl([...socket, "http://localhost/metrics"]), /^# TYPE p2prc_requests_total counter$/m);
    const { openapi, paths } = JSON.parse(await curl([...socket, "http://localhost/v1/openapi.json"])) as Document;
    assert.equal(openapi, "3.1.0");
    assert.ok(Object.keys(paths).includes("/v1/nodes/{node}/ping"));
    assert.match(await curl([...socket, "http://localhost/v1/status"]), /"lends":false/);
  });

  test("the example of a program of one's own runs", async () => {
    await using machines = await Machines.open();
    await machines.run("attic", ["ls"]);
    const environment = { ...process.env, P2PRC_HOME: machines.homeOf("attic") };
    const example = join(import.meta.dirname, "../../examples/nearest.ts");
    const { stderr } = await run(process.execPath, [example], { env: environment });
    assert.equal(stderr, "no node is joined yet: p2prc join\n");
  });
});

const run = promisify(execFile);

async function curl(words: readonly string[]): Promise<string> {
  return (await run("curl", ["--silent", "--show-error", "--max-time", "10", ...words])).stdout;
}

interface Document {
  readonly openapi: string;
  readonly paths: object;
}

interface Status {
  readonly id: string;
  readonly listening: readonly string[];
  readonly pid: number;
}

async function status(machines: Machines, machine: string): Promise<Status> {
  await machines.run(machine, ["ls"]);
  const said: Said = await machines.run(machine, ["status", "--json"]);
  return JSON.parse(said.lines.find((line) => line.startsWith("{")) ?? "") as Status;
}

/** How many processes were started with this word among theirs. */
function processesWith(word: string): number {
  return processes().filter((words) => words.includes(word)).length;
}

function processes(): string[][] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => wordsOf(pid)).filter(([name, what]) => name === "p2prc" && what === "daemon");
}

function wordsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split(/[\0 ]/);
  } catch {
    return []; // it ended meanwhile
  }
}

/** Daemons and folders of a demo. The folder of temporary files is the test's own. */
function leftOvers(folder: string): string[] {
  const daemons = processes().filter((words) => words.some((word) => word.startsWith(join(folder, "p2prc-demo-"))));
  return [
    ...readdirSync(folder).filter((name) => name.startsWith("p2prc-demo-")),
    ...daemons.map((words) => words.join(" ")),
  ];
}

async function gone(pid: number): Promise<void> {
  await untilTrue(() => !existsSync(`/proc/${pid}`));
}

/** Real processes take real time: at most 20 s of it. */
async function untilTrue(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; tries < 400 && !isTrue(); tries++) await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(isTrue());
}

function sizeOfPng(file: Buffer): { readonly width: number; readonly height: number } {
  assert.equal(file.toString("latin1", 1, 4), "PNG");
  return { width: file.readUInt32BE(16), height: file.readUInt32BE(20) };
}
