import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CliLab } from "../../../test/support/cli-lab.ts";
import { nodeRow, someId } from "../../../test/support/node-row.ts";
import { Failure } from "../../core/light.ts";

const attic = nodeRow({ name: "attic", relation: "friend", rttMs: 1 });

describe("p2prc update", () => {
  const result = {
    asked: 14,
    answered: 11,
    failed: 1,
    found: 9,
    hops: 3,
    tookMs: 812,
    trying: [{ id: someId, name: "silent\u001b[1m" }],
    beyond: 2,
  };
  const progress = { hop: 2, asked: 14, answered: 11, failed: 1, waiting: 2, found: 9 };
  const routes = {
    "POST /v1/nodes/update": { steps: [{ progress }, { result }] },
    "GET /v1/nodes?all=true": { value: { nodes: [attic], strangers: 0 } },
  };

  test("tells what came of the walk, then lists everybody", async () => {
    const { out, err } = await new CliLab({ routes }).p2prc("update");
    assert.deepEqual(err, [
      "11 nodes of 14 answered in 812 ms, over 3 hops; 9 new",
      "still trying: silent[1m",
      "2 nodes further away: `p2prc update --hops 4`",
    ]);
    assert.match(out[1] ?? "", /^attic /);
  });

  test("passes the hops on, and lists in blocks when typed as the seed has it", async () => {
    const lab = new CliLab({ routes });
    const { out } = await lab.p2prc("--us", "--hops", "4");
    assert.deepEqual(lab.asked[0], { route: "POST /v1/nodes/update", body: { hops: 4 } });
    assert.equal(out[0], "Name:       attic");
  });

  test("prints the result and the table with --json", async () => {
    const { out } = await new CliLab({ routes }).p2prc("update", "--json");
    assert.deepEqual(JSON.parse(out[0] ?? ""), { ...result, nodes: [attic] });
  });

  test("refuses a number of hops that is none", async () => {
    for (const hops of ["0", "17", "many", "-1", "1.5"])
      assert.equal((await new CliLab({ routes }).p2prc("update", "--hops", hops)).exit, 2, hops);
  });

  test("tells a failure that comes in the middle", async () => {
    const steps = [{ progress }, { error: { code: "busy", message: "another walk is under way" } }];
    const { exit, err } = await new CliLab({ routes: { "POST /v1/nodes/update": { steps } } }).p2prc("update");
    assert.deepEqual([exit, err], [7, ["p2prc: another walk is under way"]]);
  });

  test("notices when the daemon breaks off", async () => {
    const { exit, err } = await new CliLab({ routes: { "POST /v1/nodes/update": { steps: [{ progress }] } } }).p2prc(
      "update",
    );
    assert.equal(exit, 5);
    assert.match(err[0] ?? "", /broke off/);
  });
});

describe("p2prc ping", () => {
  const sample = (number: number) => ({
    progress: { sample: number, path: "tcp6", remote: "[2001:db8::7]:8088", rttMs: 28.21 },
  });
  const result = {
    id: someId,
    name: "attic",
    path: "tcp6",
    sent: 2,
    lost: 1,
    medianMs: 28.2,
    minMs: 28.2,
    maxMs: 28.2,
    jitterMs: 0,
  };

  test("prints each round trip and its path, and sums up", async () => {
    const steps = [sample(1), { progress: { sample: 2, lost: "no answer within 5 s" } }, { result }];
    const lab = new CliLab({ routes: { "POST /v1/nodes/attic/ping": { steps } } });
    assert.deepEqual(await lab.p2prc("ping", "attic", "--count", "2"), {
      exit: 0,
      out: [" 1    28.2 ms  by tcp6 from [2001:db8::7]:8088", " 2  no answer: no answer within 5 s"],
      err: ["2 sent, 1 lost, least 28.2 ms, median 28.2 ms, most 28.2 ms, jitter 0.00 ms"],
    });
    assert.deepEqual(lab.asked[0]?.body, { count: 2 });
  });

  test("says through whom it goes, and when the way has become direct", async () => {
    const steps = [
      { progress: { sample: 1, path: "relayed", remote: "via garage", rttMs: 61 } },
      { progress: { sample: 2, path: "punched", remote: "192.0.2.7:8088", rttMs: 33.4 } },
      { progress: { sample: 3, path: "punched", remote: "192.0.2.7:8088", rttMs: 33.4 } },
      { result },
    ];
    const lab = new CliLab({ routes: { "POST /v1/nodes/attic/ping": { steps } } });
    assert.deepEqual((await lab.p2prc("ping", "attic", "--count", "3")).out, [
      " 1    61.0 ms  via garage (relayed)",
      " 2    33.4 ms  direct now (punched) from 192.0.2.7:8088",
      " 3    33.4 ms  direct (punched) from 192.0.2.7:8088",
    ]);
  });

  test("sums up too when the node has gone, and names it", async () => {
    let batches = 0;
    const gone = { error: { code: "unreachable", message: "refused", hint: "`p2prc why NODE` shows each attempt" } };
    const answer = () => ({ steps: ++batches === 1 ? [sample(1), sample(2), { result }] : [gone] });
    const lab = new CliLab({ routes: { "POST /v1/nodes/attic/ping": answer } });
    const { exit, err } = await lab.p2prc("ping", "attic");
    assert.equal(exit, 4);
    assert.deepEqual(err, [
      "2 sent, 0 lost, median 28.2 ms",
      "p2prc: attic cannot be reached: refused",
      "hint: `p2prc why attic` shows each attempt",
    ]);
  });

  test("goes on until Ctrl-C, and then sums up", async () => {
    let batches = 0;
    const lab = new CliLab({
      routes: {
        "POST /v1/nodes/attic/ping": () => {
          if (++batches === 3) lab.interrupt.abort();
          return {
            steps: [
              sample(1),
              sample(2),
              batches === 3 ? { error: { code: "daemon-failed", message: "left" } } : { result },
            ],
          };
        },
      },
    });
    const { exit, out, err } = await lab.p2prc("ping", "attic");
    assert.equal(exit, 0);
    assert.deepEqual(
      out.map((line) => line.slice(0, 2)),
      [" 1", " 2", " 3", " 4", " 5", " 6"],
    );
    assert.deepEqual(err, ["6 sent, 0 lost, median 28.2 ms"]);
  });

  test("gives up when nothing comes back any more", async () => {
    const lost = Array.from({ length: 10 }, (_, index) => ({ progress: { sample: index + 1, lost: "silent" } }));
    const { exit, err } = await new CliLab({
      routes: { "POST /v1/nodes/attic/ping": { steps: [...lost, { result }] } },
    }).p2prc("ping", "attic");
    assert.equal(exit, 4);
    assert.match(err.join("\n"), /p2prc why attic/);
  });

  test("prints one object with --json", async () => {
    const lab = new CliLab({ routes: { "POST /v1/nodes/attic/ping": { steps: [sample(1), { result }] } } });
    assert.deepEqual((await lab.p2prc("ping", "attic", "--json")).out, [JSON.stringify(result)]);
  });

  test("asks for a node by exactly what was typed", async () => {
    const lab = new CliLab();
    await lab.p2prc("ping", "[2001:db8::7]/..?x", "--count", "1");
    assert.equal(lab.asked[0]?.route, "POST /v1/nodes/%5B2001%3Adb8%3A%3A7%5D%2F..%3Fx/ping");
  });
});

test("p2prc speed shows both directions", async () => {
  const result = {
    id: someId,
    name: "attic",
    path: "tcp6",
    downBytesPerSecond: 41.2e6,
    upBytesPerSecond: 11e6,
    down: { bytes: 50e6, ms: 1213 },
    up: { bytes: 50e6, ms: 4545 },
  };
  const steps = [{ progress: { direction: "down", bytes: 1, bytesPerSecond: 1 } }, { result }];
  const relayed = [{ result: { ...result, path: "relayed", via: "garage" } }];
  const lab = new CliLab({ routes: { "POST /v1/nodes/attic/speed": { steps: relayed } } });
  assert.equal((await lab.p2prc("speed", "attic")).out.at(-1), "Path:  via garage (relayed)");
  assert.deepEqual(
    (await new CliLab({ routes: { "POST /v1/nodes/attic/speed": { steps } } }).p2prc("speed", "attic")).out,
    ["Down:  41.2 MB/s  (50.0 MB in 1.21 s)", "Up:    11.0 MB/s  (50.0 MB in 4.54 s)", "Path:  tcp6"],
  );
});

describe("p2prc add", () => {
  const found = { id: someId, name: "attic", version: "0.1.0", address: "192.0.2.7:8088" };
  const routes = { "POST /v1/nodes/identify": { value: found }, "POST /v1/nodes": { value: attic } };

  test("shows the key and asks", async () => {
    const lab = new CliLab({ routes, answers: ["y"] });
    const { exit, out, err } = await lab.p2prc("add", "host.example:8088");
    assert.deepEqual([exit, out], [0, ["added attic: it is a friend of this node now"]]);
    assert.match(err.join("\n"), new RegExp(someId));
    assert.equal(lab.questions.length, 1);
    assert.deepEqual(lab.asked[1]?.body, { address: "host.example:8088", id: someId });
  });

  test("adds nothing when the answer is no, or nobody is there", async () => {
    for (const answers of [["n"], [""], []]) {
      const lab = new CliLab({ routes, answers });
      assert.equal((await lab.p2prc("add", "host.example")).exit, 6);
      assert.deepEqual(
        lab.asked.map(({ route }) => route),
        ["POST /v1/nodes/identify"],
      );
    }
  });

  test("asks nobody with --yes or the right --key", async () => {
    for (const words of [["--yes"], ["--key", someId]]) {
      const lab = new CliLab({ routes });
      assert.equal((await lab.p2prc("add", "host.example", ...words)).exit, 0);
      assert.deepEqual(lab.questions, []);
    }
  });

  test("tells what to look at where nobody answers: there is no `why` of a node that is not known", async () => {
    const nobody = new Failure("unreachable", "refused: nothing listens there", { hint: "`p2prc why NODE`" });
    const { exit, err } = await new CliLab({ routes: { "POST /v1/nodes/identify": nobody } }).p2prc("add", "h:1");
    assert.equal(exit, 4);
    assert.equal(err[0], "p2prc: nobody was found at h:1: refused: nothing listens there");
    assert.match(err[1] ?? "", /^hint: .*lend/);
  });

  test("refuses another key, and one that is none", async () => {
    const lab = new CliLab({ routes });
    assert.equal((await lab.p2prc("add", "host.example", "--key", "o".repeat(52), "--yes")).exit, 4);
    assert.equal(lab.asked.length, 1);
    assert.equal((await new CliLab({ routes }).p2prc("add", "host.example", "--key", "attic")).exit, 2);
  });
});

describe("p2prc info", () => {
  const specs = {
    cpu: { model: "Ryzen", cores: 16 },
    memory: { totalBytes: 64 * 2 ** 30, freeBytes: 2 ** 30 },
    disk: { totalBytes: 2 ** 40, freeBytes: 2 ** 39 },
    gpus: [],
    platform: "linux",
    architecture: "x64",
    problems: [],
  };

  const offer = {
    runtime: "bubblewrap",
    profiles: ["strict", "dev"],
    images: "archives",
    allowedImages: ["*"],
    free: { cpus: 1.5, memoryBytes: 2 ** 31, diskBytes: 10 * 2 ** 30, sandboxes: 1 },
    gpus: [],
    problems: ["no network: bad \u001b[31mtun"],
  };

  test("shows the node, its machine, and what it would lend me", async () => {
    const lab = new CliLab({
      routes: {
        "GET /v1/nodes/attic": { value: attic },
        "GET /v1/nodes/attic/specs": { value: specs },
        "GET /v1/nodes/attic/offer": { value: offer },
      },
    });
    const { out } = await lab.p2prc("info", "attic");
    assert.ok(out.includes(`Id:             ${someId}`));
    assert.ok(out.includes("CPU:            16 x Ryzen"));
    assert.ok(out.includes("Memory:         64 GiB, 1 GiB free"));
    assert.ok(out.includes("Sandboxes by:   bubblewrap (strict, dev)"), out.join("\n"));
    assert.ok(out.includes("Lends me:       1 sandbox, 1.5 cores, 2 GiB memory, 10 GiB disk"), out.join("\n"));
    assert.ok(!out.join("").includes("\u001b"));
    const { out: json } = await lab.p2prc("info", "attic", "--json");
    assert.deepEqual((JSON.parse(json.join("")) as { offer: unknown }).offer, offer);
  });

  test("shows what it has when the node does not answer", async () => {
    const lab = new CliLab({
      routes: {
        "GET /v1/nodes/attic": { value: attic },
        "GET /v1/nodes/attic/specs": new Failure("unreachable", "nobody answers"),
      },
    });
    const { exit, out, err } = await lab.p2prc("info", "attic");
    assert.equal(exit, 0);
    assert.equal(out[0], "Name:           attic");
    assert.deepEqual(err, ["its machine is not known: nobody answers"]);
    assert.match(out.at(-1) ?? "", /^Lends me: +nothing: no route/);
  });
});

test("p2prc why shows each attempt, what could not be tried, and the path in use", async () => {
  const path = { kind: "relayed", remote: "via garage", via: "garage" };
  const untried = [{ path: "punched", reason: "turned off" }];
  const attempts = [
    {
      path: "tcp6",
      address: "[2001:db8::7]:8088",
      outcome: "silent",
      ms: 250.4,
      reason: "no answer",
      at: Date.UTC(2026, 0, 1) - 5_000,
    },
  ];
  const lab = new CliLab({
    routes: { "GET /v1/nodes/attic/why": { value: { node: { id: someId, name: "attic" }, path, attempts, untried } } },
  });
  const { out, err } = await lab.p2prc("why", "attic");
  assert.deepEqual(out, [
    "AGO  PATH     ADDRESS             OUTCOME   MS  REASON",
    "now  tcp6     [2001:db8::7]:8088  silent   250  no answer",
    "-    punched  -                   -          -  turned off",
  ]);
  assert.deepEqual(err, ["attic (yyyy…yyyy): via garage (relayed)"]);
});

test("p2prc rename and forget say what they did", async () => {
  const routes = {
    "PATCH /v1/nodes/uq3s": { value: attic },
    "DELETE /v1/nodes/attic": { value: { id: someId, name: "attic" } },
  };
  const lab = new CliLab({ routes });
  assert.deepEqual((await lab.p2prc("rename", "uq3s", "attic")).out, ["uq3s is called attic here"]);
  assert.deepEqual(lab.asked[0]?.body, { name: "attic" });
  assert.deepEqual((await lab.p2prc("forget", "attic")).out, ["forgot attic (yyyy…yyyy)"]);
});

test("p2prc rename tells what a name may be before it asks the daemon", async () => {
  const lab = new CliLab();
  const { exit, err } = await lab.p2prc("rename", "attic", "x".repeat(70));
  assert.equal(exit, 2);
  assert.match(err.join("\n"), /not a name for a node[\s\S]*1 to 32 characters/);
  assert.deepEqual(lab.asked, []);
});

test("an empty --home or P2PRC_HOME is not the real node", async () => {
  const lab = new CliLab();
  assert.equal((await lab.p2prc("ls", "--home", "")).exit, 2);
  assert.equal((await new CliLab({ environment: { P2PRC_HOME: "" } }).p2prc("ls")).exit, 2);
  assert.deepEqual(lab.opened, []);
});
