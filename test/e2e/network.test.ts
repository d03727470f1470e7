/**
 * Nodes on machines of their own, on a real network that breaks: the real program, the kernel's own TCP.
 *
 * The addresses look public, so that nothing has to be allowed; no route leads out of the lab. The tests wait for
 * minutes between them, so they run side by side, but for those that hold a time against a clock.
 */

import assert from "node:assert/strict";
import { cp } from "node:fs/promises";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type NetnsNode, NetnsNodes, whyNoLab, whyNoShapedLab } from "../lab/netns/index.ts";

const { signal } = new AbortController();
const internet = { prefix4: "45.77", prefix6: "2a0b:77::", lan: false };

describe("a node with two families", { skip: whyNoLab(), timeout: 60_000 }, () => {
  test("is reached over IPv6 when both work", async () => {
    await using net = await NetnsNodes.open({ ...internet, hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = net.nodes;
    await attic.serve("--name", "attic");
    await cellar.join(attic);
    const [first] = await attemptsOf(cellar);
    assert.deepEqual([first?.path, first?.outcome], ["tcp6", "open"]);
    assert.equal((await cellar.json<Ping>("ping", "attic", "--count", "2")).path, "tcp6");
  });

  test("is reached over IPv4 within a second when IPv6 is a black hole", async () => {
    await using net = await NetnsNodes.open({ ...internet, hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = net.nodes;
    await attic.serve("--name", "attic");
    await attic.host.filter({ family: 6, verdict: "drop" });
    await cellar.join(attic);
    const attempts = await attemptsOf(cellar);
    const six = attempts.find(({ path }) => path === "tcp6");
    const four = attempts.find(({ outcome }) => outcome === "open");
    assert.deepEqual([six?.outcome, four?.path], ["cancelled", "tcp4"]);
    const begun = (six?.at ?? 0) - (six?.ms ?? 0);
    const up = (four?.at ?? Number.POSITIVE_INFINITY) - begun;
    assert.ok(up < 1_000, `${up} ms`);
  });
});

describe("nodes on a network that breaks", { skip: whyNoLab(), timeout: 100_000, concurrency: 4 }, () => {
  test("notice within 15 s that a link is dead", async () => {
    await using net = await NetnsNodes.open({ ...internet, hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = net.nodes;
    const [one, other] = [tunnelNode(attic), tunnelNode(cellar)];
    const ready = /^ready (\S+) (\d+)$/m;
    const [, id, port] = await one.says(ready, within(20_000));
    await other.says(ready, within(20_000));
    other.write(`hold ${id} ${attic.host.ip6} ${port}\n`);
    await other.says(/^open$/m, within(10_000));
    other.write("mark\n");
    await net.lab.partition([attic.host], [cellar.host]);
    const [, ms, why] = await other.says(/^ended after (\d+) ms: (\S+)$/m, within(20_000));
    assert.ok(Number(ms) <= 16_000 && Number(ms) > 4_000, `${ms} ms`);
    assert.equal(why, "link-lost");
  });

  test("keep each other and their link when every fifth packet is lost", { skip: whyNoShapedLab() }, async () => {
    await using net = await NetnsNodes.open({ ...internet, hosts: { attic: {}, barn: {}, cellar: {} } }, signal);
    const { attic, barn, cellar } = net.nodes;
    await Promise.all([attic.serve("--name", "attic"), barn.serve("--name", "barn"), cellar.serve("--name", "cellar")]);
    await cellar.join(attic);
    await barn.join(attic);
    await barn.json("update"); // tells attic where it is, which tells others: barn is a stranger here
    await eventually(15_000, async () => (await rowOf(cellar, "barn", "update"))?.state === "verified");
    const before = (await attemptsOf(cellar)).length;
    await attic.host.shape({ lossPercent: 20, delayMs: 5 });
    await barn.host.shape({ lossPercent: 20, delayMs: 5 });
    const pinging = cellar.run("ping", "attic", "--count", "40");
    for (let waited = 0; waited < 25_000; waited += 5_000) {
      await sleep(5_000);
      assert.deepEqual(await statesOf(cellar), { attic: "verified", barn: "verified" });
    }
    const { exit, stdout } = await pinging;
    assert.equal(exit, 0, stdout);
    assert.equal((await attemptsOf(cellar)).length, before, "it had to be dialled again");
  });

  test("part and find each other again", async () => {
    await using net = await NetnsNodes.open({ ...internet, hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = net.nodes;
    await attic.serve("--name", "attic");
    await cellar.serve("--name", "cellar");
    await cellar.join(attic);
    await cellar.json("update");
    await net.lab.partition([attic.host], [cellar.host]);
    const parted = await cellar.run("ping", "attic", "--count", "1");
    assert.equal(parted.exit, 4, parted.stderr);
    assert.deepEqual(Object.keys(await statesOf(cellar)), ["attic"]);
    await net.lab.partition();
    await eventually(20_000, async () => (await cellar.run("ping", "attic", "--count", "1")).exit === 0);
    await eventually(40_000, async () => (await statesOf(cellar))["attic"] === "verified");
  });

  test("find a node again that was killed and came back elsewhere", async () => {
    await using net = await NetnsNodes.open({ ...internet, hosts: { attic: {}, barn: {}, cellar: {} } }, signal);
    const { attic, barn, cellar } = net.nodes;
    await Promise.all([attic.serve("--name", "attic"), barn.serve("--name", "barn"), cellar.serve("--name", "cellar")]);
    await attic.join(barn);
    await cellar.join(barn);
    await cellar.join(attic);
    await cellar.json("update");
    const { host } = attic;
    const gone = [host.ip6, host.ip4];
    await attic.kill();
    await host.readdress();
    await attic.serve();
    // It tells barn, its friend, which tries it there, and tells cellar.
    await eventually(30_000, async () => (await rowOf(cellar, "attic", "update"))?.addresses.includes(host.ip6));
    const { path } = await cellar.json<Ping>("ping", "attic", "--count", "1");
    assert.equal(path, "tcp6");
    const row = await rowOf(cellar, "attic", "ls");
    assert.equal(row?.addresses[0], host.ip6);
    assert.ok(!gone.includes(host.ip6));
  });
});

describe("nodes on a LAN without a router", { skip: whyNoLab(), timeout: 60_000, concurrency: 3 }, () => {
  test("find each other by multicast DNS", async () => {
    await using net = await NetnsNodes.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = net.nodes;
    await Promise.all([attic.serve("--name", "attic"), cellar.serve("--name", "cellar")]);
    const stranger = (row: Row) => row.claimedName === "attic" && row.state === "verified";
    await eventually(20_000, async () => (await rowsOf(cellar, "ls")).some(stranger));
    const back = (row: Row) => row.claimedName === "cellar" && row.state === "verified";
    await eventually(20_000, async () => (await rowsOf(attic, "ls")).some(back));
  });

  test("announce themselves only where they listen", async () => {
    await using net = await NetnsNodes.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = net.nodes;
    await attic.serve("--name", "attic", "--listen", "127.0.0.1");
    await cellar.serve("--name", "cellar");
    await eventually(20_000, async () => (await rowsOf(attic, "ls")).length === 1); // attic looks, and finds
    const heard = await rowsOf(cellar, "ls");
    assert.deepEqual(
      heard.filter(({ addresses }) => addresses.length > 0),
      [],
    );
  });

  test("say so when one is a copy of the other", async () => {
    await using net = await NetnsNodes.open({ hosts: { attic: {}, cellar: {} } }, signal);
    const { attic, cellar } = net.nodes;
    await attic.serve("--name", "attic");
    await attic.kill();
    await cp(attic.home, cellar.home, { recursive: true, filter: (path) => !path.endsWith("socket") });
    await Promise.all([attic.serve(), cellar.serve()]);
    for (const node of [attic, cellar]) {
      const warnings = async () => (await node.json<{ warnings: readonly string[] }>("status")).warnings;
      await eventually(20_000, async () => (await warnings()).some((line) => line.includes("its home was copied")));
    }
  });

  test("do without IPv6 where the kernel has none", async () => {
    await using net = await NetnsNodes.open({ hosts: { attic: { families: [4] }, cellar: {} } }, signal);
    const { attic, cellar } = net.nodes;
    await Promise.all([attic.serve("--name", "attic"), cellar.serve("--name", "cellar")]);
    const { addresses } = await attic.json<{ addresses: readonly string[] }>("status");
    assert.deepEqual(addresses, [`${attic.host.ip4}:8088`]);
    await cellar.join(attic);
    await attic.join(cellar);
    assert.equal((await cellar.json<Ping>("ping", "attic", "--count", "1")).path, "tcp4");
    assert.equal((await attic.json<Ping>("ping", "cellar", "--count", "1")).path, "tcp4");
  });
});

interface Attempt {
  readonly path: string;
  readonly outcome: string;
  readonly ms: number;
  readonly at: number;
}

interface Ping {
  readonly path: string;
}

interface Row {
  readonly name: string;
  readonly claimedName?: string;
  readonly state: string;
  readonly addresses: readonly string[];
}

async function attemptsOf(node: NetnsNode): Promise<readonly Attempt[]> {
  return (await node.json<{ attempts: readonly Attempt[] }>("why", "attic")).attempts;
}

async function rowsOf(node: NetnsNode, command: "ls" | "update"): Promise<readonly Row[]> {
  if (command === "update") await node.json("update");
  return (await node.json<{ nodes: readonly Row[] }>("ls", "--all")).nodes;
}

async function rowOf(node: NetnsNode, name: string, command: "ls" | "update"): Promise<Row | undefined> {
  return (await rowsOf(node, command)).find((row) => row.name === name);
}

async function statesOf(node: NetnsNode): Promise<Record<string, string>> {
  const rows = await rowsOf(node, "ls");
  return Object.fromEntries(rows.map(({ name, state }): [string, string] => [name, state]));
}

function tunnelNode(node: NetnsNode) {
  const program = `${import.meta.dirname}/../lab/netns/tunnel-node.ts`;
  return node.host.spawn([process.execPath, program, node.home]);
}

function within(ms: number): AbortSignal {
  return AbortSignal.timeout(ms);
}

/** Real networks take real time, and never more than `ms`. */
async function eventually(ms: number, isSo: () => Promise<boolean | undefined>): Promise<void> {
  const until = Date.now() + ms;
  while ((await isSo()) !== true) {
    assert.ok(Date.now() < until, `not within ${ms} ms`);
    await sleep(300);
  }
}
