import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { CliLab, type Routes } from "../../../test/support/cli-lab.ts";
import { someId } from "../../../test/support/node-row.ts";
import { Failure } from "../../core/light.ts";

const status = {
  id: someId,
  name: "attic",
  version: "0.1.0",
  pid: 4711,
  startedAt: Date.UTC(2026, 0, 1) - 3 * 3_600_000,
  home: "/home/ada/.p2prc",
  lends: true,
  listening: ["[::]:8088"],
  addresses: ["[2001:db8::7]:8088", "192.0.2.7:8088"],
  links: [{ id: someId, name: "barn", path: "tcp6", rttMs: 3.2, asks: true }],
  nodes: { joined: 1, verified: 2, heard: 3, suspect: 0 },
  reach: { nat: "cone", by: ["punching", "relay through garage"] },
  relay: {
    mode: "anyone",
    counts: { streams: 1, opened: 4, bytes: 1_500_000, refused: 0, overQuota: 0 },
    registered: 2,
    via: [{ id: someId, name: "garage" }],
  },
  warnings: ["the clock is off by a year"],
  logFile: "/home/ada/.p2prc/log",
  boot: "0011223344556677",
};
const routes = {
  "GET /v1/status": { value: status },
  "GET /v1/lend/limits": { value: {} },
  "POST /v1/lend": (body: unknown) => ({ value: { lends: (body as { on: boolean }).on } }),
};

describe("p2prc status", () => {
  test("shows the node, its links and what to look at", async () => {
    const { exit, out, err } = await new CliLab({ routes }).p2prc("status");
    assert.equal(exit, 0);
    assert.ok(out.includes("Daemon:        version 0.1.0, process 4711, up 3 h"));
    assert.ok(out.includes("Reached by:    punching, relay through garage"));
    assert.ok(out.includes("Relay:         for anyone, for strangers a little: 2 nodes, 1 streams, 1.5 MB passed on"));
    assert.ok(out.includes("Lending:       to my own nodes and those I invited"));
    assert.deepEqual(out.slice(-2), [
      "LINK TO  ID         PATH     RTT  WHO ASKS",
      "barn     yyyy…yyyy  tcp6  3.2 ms  out",
    ]);
    assert.deepEqual(err, ["warning: the clock is off by a year"]);
  });

  test("starts no daemon", async () => {
    const lab = new CliLab({ routes });
    await lab.p2prc("status");
    assert.equal(lab.opened[0]?.daemon, "never");
  });

  test("prints all of it with --json", async () => {
    assert.deepEqual(JSON.parse((await new CliLab({ routes }).p2prc("status", "--json")).out[0] ?? ""), status);
  });
});

describe("p2prc serve", () => {
  const banner = [
    "attic  yyyy…yyyy   lending to: my own nodes and those I invited",
    "listening on [::]:8088 (IPv6 and IPv4)",
    "to let somebody in:  p2prc invite",
  ];

  test("is the daemon, and lends", async () => {
    const lab = new CliLab({ routes, running: false });
    const words =
      "--name attic --port 0 --listen ::1 --listen 127.0.0.1 --allow-network 127.0.0.0/8 --no-punch --relay no --runtime bubblewrap";
    const { exit, out } = await lab.p2prc("-s", ...words.split(" "));
    assert.deepEqual([exit, out], [0, banner]);
    assert.deepEqual(lab.daemons[0]?.flags, words.split(" "));
    assert.deepEqual(lab.asked[0], { route: "POST /v1/lend", body: { on: true } });
  });

  test("knows three makers of sandboxes", async () => {
    const { exit, err } = await new CliLab({ routes, running: false }).p2prc("serve", "--runtime", "chroot");
    assert.equal(exit, 2);
    assert.match(err.join("\n"), /docker, podman, bubblewrap/);
  });

  test("prints the status with --json", async () => {
    assert.deepEqual(
      JSON.parse((await new CliLab({ routes, running: false }).p2prc("-s", "--json")).out[0] ?? ""),
      status,
    );
  });

  test("turns lending on in a daemon that runs, and off at Ctrl-C", async () => {
    const lab = new CliLab({ routes });
    const ended = lab.p2prc("serve");
    await lab.clock.advance(6_000);
    lab.interrupt.abort();
    const { exit, out, err } = await ended;
    assert.deepEqual([exit, out], [0, banner]);
    assert.deepEqual(lab.daemons, []);
    assert.deepEqual(lab.asked.at(-1), { route: "POST /v1/lend", body: { on: false } });
    assert.match(err.join("\n"), /Ctrl-C ends lending, not the daemon[\s\S]*lending has ended/);
  });

  test("notices that such a daemon has ended", async () => {
    let up = true;
    const lab = new CliLab({
      routes: {
        ...routes,
        "GET /v1/status": () => (up ? { value: status } : new Failure("daemon-not-running", "no daemon runs")),
      },
    });
    const ended = lab.p2prc("serve");
    await lab.clock.advance(1_000);
    up = false;
    await lab.clock.advance(5_000);
    assert.equal((await ended).exit, 5);
  });

  test("returns with --detach", async () => {
    const lab = new CliLab({ routes, running: false });
    assert.deepEqual((await lab.p2prc("serve", "--detach", "--name", "attic")).out, banner);
    assert.deepEqual(lab.opened[0]?.flags, ["--name", "attic"]);
    assert.deepEqual(lab.daemons, []);
  });

  test("ends a daemon that was started to lend and cannot, and no other", async () => {
    const taken = { ...routes, "POST /v1/lend": new Failure("port-in-use", "port 9000 is taken") };
    const begun = new CliLab({ routes: taken, running: false });
    assert.equal((await begun.p2prc("serve", "--detach", "--port", "9000")).exit, 5);
    assert.equal(begun.stopped.length, 1);
    const found = new CliLab({ routes: taken });
    assert.equal((await found.p2prc("serve", "--detach")).exit, 5);
    assert.deepEqual(found.stopped, []);
  });

  test("starts a daemon anew that has other settings and lends nothing", async () => {
    const idle = { ...routes, "GET /v1/status": { value: { ...status, lends: false } } };
    const lab = new CliLab({ routes: idle });
    assert.equal((await lab.p2prc("-s", "--port", "9000")).exit, 0);
    assert.deepEqual([lab.stopped.length, lab.daemons[0]?.flags], [1, ["--port", "9000"]]);
    const detached = new CliLab({ routes: idle });
    await detached.p2prc("serve", "--detach", "--port", "9000");
    assert.deepEqual(detached.opened[1], { home: "/home/ada/.p2prc", flags: ["--port", "9000"], daemon: "restart" });
  });

  for (const words of [[], ["--detach"]]) {
    test(`starts the daemon that it replaced again when it cannot lend ${words.join("")}`, async () => {
      const lab = new CliLab({
        routes: {
          "GET /v1/status": { value: { ...status, lends: false } },
          "POST /v1/lend": new Failure("port-in-use", "port 9000 is taken"),
        },
      });
      const { exit, err } = await lab.p2prc("serve", "--port", "9000", ...words);
      assert.equal(exit, 5);
      assert.deepEqual(lab.opened.at(-1), { home: "/home/ada/.p2prc", daemon: "start", quiet: true });
      assert.ok(err.includes("the daemon that ran before is back, and lends nothing, as before"), err.join("\n"));
    });
  }

  test("does not pretend that a daemon that lends takes other settings", async () => {
    const { exit, err } = await new CliLab({ routes }).p2prc("-s", "--port", "9000");
    assert.equal(exit, 8);
    assert.match(err.join("\n"), /--port 9000[\s\S]*p2prc stop/);
  });

  test("refuses a port that is none", async () => {
    for (const port of ["65536", "-1", "http"])
      assert.equal((await new CliLab({ routes }).p2prc("-s", "--port", port)).exit, 2, port);
  });
});

test("p2prc lend turns lending on and off, and tells", async () => {
  const lab = new CliLab({ routes });
  // The daemon of this test goes on listening.
  assert.deepEqual((await lab.p2prc("lend", "off")).out, [
    "not lending",
    "guests still reach the sandboxes that run, until they end",
  ]);
  assert.deepEqual((await lab.p2prc("lend", "on")).out, ["lending to my own nodes and those I invited"]);
  assert.deepEqual((await lab.p2prc("lend")).out, ["lending to my own nodes and those I invited"]);
  assert.equal((await lab.p2prc("lend", "maybe")).exit, 2);
  assert.deepEqual(
    lab.asked.map(({ route }) => route),
    ["POST /v1/lend", "GET /v1/status", "POST /v1/lend", "GET /v1/lend/limits", "GET /v1/status"],
  );
});

test("p2prc lend --relay says whose links are passed on from now on", async () => {
  const relay = (body: unknown) => ({ value: { ...status.relay, ...(body as { mode: string }) } });
  const lab = new CliLab({ routes: { ...routes, "POST /v1/relay": relay } });
  const { out } = await lab.p2prc("lend", "--relay", "no");
  assert.deepEqual(out, ["lending to my own nodes and those I invited", "passes links on for: no"]);
  assert.deepEqual(lab.asked.find(({ route }) => route === "POST /v1/relay")?.body, { mode: "no" });
  assert.equal((await lab.p2prc("lend", "--relay", "some")).exit, 2);
});

describe("the limits of p2prc lend", () => {
  const before = { cpus: 4, images: ["debian:*"] };
  const set: Routes = { "GET /v1/lend/limits": { value: before }, "PUT /v1/lend/limits": (value) => ({ value }) };

  test("are changed one by one, and taken back", async () => {
    const lab = new CliLab({ routes: { ...routes, ...set } });
    const words = ["--max-memory", "16G", "--max-cpus", "default", "--accept", "memoryLimit,pidsLimit"];
    assert.deepEqual((await lab.p2prc("lend", ...words)).out, [
      "lending to my own nodes and those I invited",
      "at most 16 GiB memory, images debian:*, without memoryLimit, pidsLimit",
    ]);
    assert.deepEqual(lab.asked.find(({ route }) => route.startsWith("PUT"))?.body, {
      images: ["debian:*"],
      memoryBytes: 16 * 1024 ** 3,
      accept: ["memoryLimit", "pidsLimit"],
    });
  });

  for (const words of [
    ["--max-cpus", "-1"],
    ["--max-memory", "much"],
    ["--max-sandboxes", "1.5"],
    ["--images", "a b"],
    ["--images", "-x"],
    ["--accept", "doors"],
  ]) {
    test(`refuse ${words.join(" ")}`, async () => {
      const lab = new CliLab({ routes: { ...routes, ...set } });
      assert.equal((await lab.p2prc("lend", ...words)).exit, 2);
      assert.deepEqual(lab.asked, []);
    });
  }
});

test("p2prc stop ends the daemon, and is content when there is none", async () => {
  const lab = new CliLab();
  assert.deepEqual((await lab.p2prc("stop", "--home", "/x")).out, ["the daemon of attic has ended"]);
  assert.deepEqual(lab.stopped, ["/x"]);
  assert.deepEqual((await new CliLab({ running: false }).p2prc("stop")).out, ["no daemon runs for this home"]);
  assert.deepEqual((await new CliLab({ running: false }).p2prc("stop", "--json")).out, ['{"stopped":false}']);
});

describe("p2prc logs", () => {
  test("prints the last lines as they are", async () => {
    const lab = new CliLab({
      routes: { "GET /v1/logs?lines=2&follow=false": { text: '{"msg":"a"}\n{"msg":"b ü"}\n' } },
    });
    assert.deepEqual((await lab.p2prc("logs", "-n", "2")).out, ['{"msg":"a"}', '{"msg":"b ü"}']);
  });

  test("shows the last words of a daemon that is gone, which nobody could ask", async () => {
    const home = await mkdtemp(join(tmpdir(), "p2prc-logs-"));
    try {
      const none = await new CliLab({ running: false }).p2prc("logs", "--home", home);
      assert.deepEqual([none.exit, none.out], [5, []]);
      await writeFile(join(home, "log"), '{"msg":"a"}\n{"msg":"b ü"}\n{"msg":"c"}\n');
      await writeFile(join(home, "daemon.stderr"), "out of memory\n");
      const { exit, out, err } = await new CliLab({ running: false }).p2prc("logs", "-n", "2", "--home", home);
      assert.deepEqual([exit, out], [0, ['{"msg":"b ü"}', '{"msg":"c"}']]);
      assert.match(err.join("\n"), /no daemon runs[\s\S]*daemon\.stderr/);
    } finally {
      await rm(home, { recursive: true });
    }
  });

  test("starts no daemon", async () => {
    const lab = new CliLab({ routes: { "GET /v1/logs?lines=50&follow=true": { text: "" } } });
    await lab.p2prc("logs", "-f");
    assert.equal(lab.opened[0]?.daemon, "never");
  });
});
