import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CliLab } from "../../../test/support/cli-lab.ts";
import { nodeRow } from "../../../test/support/node-row.ts";

const attic = nodeRow({
  name: "attic",
  relation: "friend",
  state: "verified",
  path: "tcp6",
  rttMs: 28.172471,
  downBytesPerSecond: 41_200_000,
  upBytesPerSecond: 11_000_000,
  resources: {
    cpus: 16,
    memoryBytes: 64 * 2 ** 30,
    diskBytes: 0,
    gpus: [{ model: "NVIDIA GeForce RTX 4090", memoryBytes: 24 * 2 ** 30 }],
  },
  addresses: ["2001:db8::7", "192.0.2.7"],
  lastSeen: "2026-01-01T00:00:00Z",
});
const barn = nodeRow({
  name: "barn",
  relation: "friend",
  state: "suspect",
  rttMs: 3,
  downBytesPerSecond: 1,
  addresses: ["barn.example"],
  lastSeen: "2025-12-31T23:00:00Z",
});
const stranger = nodeRow({ name: "屋根\u202e裏", state: "heard", port: 9000 });

describe("p2prc ls", () => {
  test("says what to do where there is nothing to list, on stderr", async () => {
    const lab = () =>
      new CliLab({ routes: { "GET /v1/nodes": { value: empty }, "GET /v1/nodes?all=true": { value: empty } } });
    const empty = { nodes: [], strangers: 0 };
    for (const words of [["ls"], ["--ls"], ["ls", "--all"]]) {
      const { exit, out, err } = await lab().p2prc(...words);
      assert.deepEqual([exit, out], [0, []], words.join());
      assert.match(err.join("\n"), /p2prc join/, words.join());
    }
  });

  test("lists nodes in an aligned table", async () => {
    const lab = new CliLab({ routes: { "GET /v1/nodes": { value: { nodes: [attic, barn], strangers: 0 } } } });
    assert.deepEqual(await lab.p2prc("ls"), {
      exit: 0,
      out: [
        "NAME   ID         PATH      RTT       DOWN         UP  CPU  MEMORY  GPU           SEEN",
        "attic  yyyy…yyyy  tcp6  28.2 ms  41.2 MB/s  11.0 MB/s   16  64 GiB  RTX 4090 24G  now",
        "barn   yyyy…yyyy  -      3.0 ms      1 B/s          -    -       -  -             60 min (silent)",
      ],
      err: [],
    });
  });

  test("tells of strangers, and lists them with --all", async () => {
    const routes = {
      "GET /v1/nodes": { value: { nodes: [attic], strangers: 12 } },
      "GET /v1/nodes?all=true": { value: { nodes: [attic, stranger], strangers: 0 } },
    };
    assert.deepEqual((await new CliLab({ routes }).p2prc("ls")).err, [
      "12 more that nobody here joined: `p2prc ls --all`",
    ]);
    assert.match((await new CliLab({ routes }).p2prc("ls", "--all")).out[2] ?? "", /^屋根裏 /);
  });

  test("sorts by what is asked for, those not measured last", async () => {
    const routes = { "GET /v1/nodes": { value: { nodes: [stranger, attic, barn], strangers: 0 } } };
    const names = async (by: string) =>
      (await new CliLab({ routes }).p2prc("ls", "--sort", by)).out.slice(1).map((line) => line.split(" ")[0]);
    assert.deepEqual(await names("rtt"), ["barn", "attic", "屋根裏"]);
    assert.deepEqual(await names("down"), ["attic", "barn", "屋根裏"]);
  });

  test("refuses to sort by something else, and says by what it can", async () => {
    const { exit, err } = await new CliLab().p2prc("ls", "--sort", "mood");
    assert.equal(exit, 2);
    assert.match(err[0] ?? "", /^p2prc: option '--sort <by>' argument 'mood' is invalid/);
    assert.match(err.join("\n"), /rtt, down, up/);
  });

  test("explains the place of each node", async () => {
    const ranked = { ...attic, rank: { score: 71.5, parts: [{ part: "near", points: 71.5, why: "28.2 ms away" }] } };
    const lab = new CliLab({ routes: { "GET /v1/nodes": { value: { nodes: [ranked], strangers: 0 } } } });
    assert.deepEqual((await lab.p2prc("ls", "--explain")).out.slice(2), [
      "      71.5  near  28.2 ms away",
      "      71.5  sum   of all parts",
    ]);
  });

  test("says what to do when there is nobody", async () => {
    const lab = new CliLab({ routes: { "GET /v1/nodes": { value: { nodes: [], strangers: 0 } } } });
    const { out, err } = await lab.p2prc("ls");
    assert.deepEqual(out, []);
    assert.match(err[0] ?? "", /p2prc join/);
  });

  test("prints what the daemon answers with --json", async () => {
    const lab = new CliLab({ routes: { "GET /v1/nodes": { value: { nodes: [attic], strangers: 3 } } } });
    assert.deepEqual(JSON.parse((await lab.p2prc("ls", "--json")).out[0] ?? ""), { nodes: [attic], strangers: 3 });
  });

  test("escapes in JSON what must not reach a terminal, and loses nothing", async () => {
    const lab = new CliLab({ routes: { "GET /v1/nodes": { value: { nodes: [stranger], strangers: 0 } } } });
    const [line = ""] = (await lab.p2prc("ls", "--json")).out;
    assert.match(line, /屋根\\u202e裏/);
    assert.deepEqual(JSON.parse(line), { nodes: [stranger], strangers: 0 });
  });
});

describe("p2prc --ls", () => {
  test("lists all in the blocks of the first P2PRC", async () => {
    const lab = new CliLab({
      routes: { "GET /v1/nodes?all=true": { value: { nodes: [attic, stranger], strangers: 0 } } },
    });
    assert.deepEqual((await lab.p2prc("--ls")).out, [
      "Name:       attic",
      "IP Address: 192.0.2.7",
      "IPV6:       2001:db8::7",
      "Latency:    28.172471ms",
      "ServerPort: 8088",
      "----------------------------",
      "",
      "Name:       屋根裏",
      "IP Address:",
      "IPV6:",
      "Latency:",
      "ServerPort: 9000",
      "----------------------------",
      "",
    ]);
  });
});
