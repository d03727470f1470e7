/**
 * Nodes behind routers: the real program on an internet of namespaces, with nobody's help but that of other nodes.
 *
 * The tests of a suite share one internet and follow each other: what breaks in one is mended in it.
 */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { resultOf } from "../support/nat-matrix.ts";
import { type NetnsNode, NetnsNodes, whyNoNatLab, whyNoUpnpLab } from "../lab/netns/index.ts";

const { signal } = new AbortController();
/** It is noticed, and the links to relays are made anew, within this. */
const MOVED_MS = 5_000;
/** From the first start of a node until others know how to reach it. */
const SETTLED_MS = 45_000;

describe("nodes behind routers", { skip: whyNoNatLab(), timeout: 250_000, concurrency: 2 }, () => {
  describe("two nodes behind NATs", { concurrency: 1 }, () => {
    const open = () =>
      NetnsNodes.online("garage:public  barn:public  shed:public  loft:public  attic:nat  desk:nat", {}, signal);
    let net: Awaited<ReturnType<typeof open>>;
    const opened = new AsyncDisposableStack();
    before(async () => {
      net = opened.use(await open());
      const { garage, barn, shed, loft, attic, desk } = net.nodes;
      await serve(garage, barn, shed, loft, attic);
      await desk.json("ls"); // starts it: a guest, who lends nothing
      await befriend([attic], [garage, barn, shed, loft]);
      await befriend([desk], [garage, barn]);
    });
    after(() => opened.disposeAsync());

    test("are reached through three others", async () => {
      await eventually(SETTLED_MS, async () => (await viaOf(net.nodes.attic)).length === 3);
    });

    test("meet with an invite, though nobody can dial whoever wrote it", async () => {
      const { attic, desk } = net.nodes;
      await desk.join(attic);
      const { path, lost } = await desk.json<Ping>("ping", "attic", "--count", "3");
      assert.equal(lost, 0);
      assert.match(path ?? "none", /^(relayed|punched)$/);
    });

    test("list each other with a round trip", async () => {
      const { desk } = net.nodes;
      await desk.json("update");
      const attics = (await desk.json<{ nodes: readonly Row[] }>("ls")).nodes.find(({ name }) => name === "attic");
      assert.equal(attics?.state, "verified");
      assert.ok((attics?.rttMs ?? 0) > 0);
    });

    test("run commands in each other's sandboxes", { skip: bubblewrapSkip() }, async () => {
      const { attic, desk } = net.nodes;
      await attic.json("lend", "--accept", "memoryLimit,pidsLimit"); // what a lab may lack is not what is tested here
      const ran = await desk.run("run", "attic", "--", "echo", "hello");
      assert.deepEqual([ran.exit, ran.stdout], [0, "hello\n"], ran.stderr);
    });

    test("find a path without a third node within 10 s", async () => {
      const { desk } = net.nodes;
      await eventually(10_000, async () => (await pinged(desk, "attic")).path === "punched");
    });

    test("go back to a relay within 5 s when that path dies", async () => {
      const { desk } = net.nodes;
      await net.lab.partition(["attic"], ["desk"]);
      const start = performance.now();
      await eventually(10_000, async () => (await pinged(desk, "attic")).path === "relayed");
      const ms = performance.now() - start;
      await net.lab.partition();
      assert.ok(ms <= 5_000 + PROCESS_MS, `${ms} ms`);
    });

    test("are reached again soon when a machine gets another address", async () => {
      const { attic, desk } = net.nodes;
      await eventually(SETTLED_MS, async () => (await viaOf(attic)).length === 3);
      const moved = Date.now();
      await attic.host.readdress();
      const answered = eventually(2 * MOVED_MS, async () => (await pinged(desk, "attic")).lost === 0);
      await eventually(2 * MOVED_MS, async () => (await relayedAgain(attic, moved)).length >= 3);
      const last = Math.max(...(await relayedAgain(attic, moved)).slice(0, 3));
      assert.ok(last <= MOVED_MS, `${last} ms`);
      await answered;
    });

    test("are reached again when a router got another address", async () => {
      const { desk } = net.nodes;
      await net.lab.router("attic").readdress();
      await eventually(45_000, async () => (await pinged(desk, "attic")).lost === 0);
    });

    test("replace a relay within 10 s when its line dies without a word", async () => {
      const gone = await aRelay();
      await gone.host.unplug();
      await isReplaced(gone);
      await gone.host.plugIn();
    });

    test("replace a relay within 10 s when it is killed", async () => {
      const gone = await aRelay();
      await gone.kill();
      await isReplaced(gone);
    });

    /** One of three through which attic is reached. */
    async function aRelay(): Promise<NetnsNode> {
      const { attic, ...others } = net.nodes;
      await eventually(SETTLED_MS, async () => (await viaOf(attic)).length === 3);
      const [first = ""] = await viaOf(attic);
      return others[first as "garage"];
    }

    async function isReplaced(gone: NetnsNode): Promise<void> {
      await eventually(10_000 + PROCESS_MS, async () => {
        const via = await viaOf(net.nodes.attic);
        return via.length === 3 && !via.some((name) => net.nodes[name as "garage"] === gone);
      });
    }
  });

  describe("a node behind a router that opens ports", { skip: whyNoUpnpLab() }, () => {
    test("is dialled there, until it ends", async () => {
      await using net = await NetnsNodes.online("garage:public  barn:public  attic:upnp  desk:nat", {}, signal);
      const { garage, barn, attic, desk } = net.nodes;
      await serve(garage, barn, attic);
      await befriend([attic], [garage, barn]);
      const address = `${net.lab.publicIp4("attic")}:8088`;
      await eventually(SETTLED_MS, async () => (await reachableAt(attic)).includes(address));
      await desk.join(attic);
      assert.equal((await pinged(desk, "attic")).path, "tcp4");
      assert.match(await opened(net.lab.router("attic")), /8088/);
      await attic.json("stop");
      await eventually(5_000, async () => !/8088/.test(await opened(net.lab.router("attic"))));
    });

    test("is dialled there within 10 s, also where one other node alone got in", async () => {
      await using net = await NetnsNodes.online("garage:public  attic:upnp  desk:udp-blocked", {}, signal);
      const { garage, attic, desk } = net.nodes;
      await serve(garage, attic, desk);
      await befriend([attic, desk], [garage]);
      await eventually(SETTLED_MS, async () => (await viaOf(attic)).length === 1);
      await desk.join(attic);
      await eventually(10_000, async () => (await pinged(desk, "attic")).path === "tcp4");
      assert.deepEqual(await reachableAt(attic), [`${attic.host.ip4}:8088`], "nobody else is told");
    });

    const opened = async (router: { outside: { run: NetnsNode["host"]["run"] } }) =>
      await router.outside.run(["nft", "list", "chain", "inet", "router", "upnp_in"], signal);
  });

  describe("two nodes in one house", () => {
    test("meet there, also without an internet", async () => {
      await using net = await NetnsNodes.online("garage:public  (attic desk):nat", {}, signal);
      const { garage, attic, desk } = net.nodes;
      await serve(garage, attic, desk);
      await befriend([attic, desk], [garage]);
      const crossed = await watched(net.lab.router("attic"), [attic, desk]);
      await desk.join(attic);
      await desk.json("ping", "attic", "--count", "5");
      await desk.json("ping", "garage", "--count", "1");
      const address = (await attemptsOf(desk, "attic")).find(({ outcome }) => outcome === "open")?.address ?? "none";
      assert.ok(address === `${attic.host.ip4}:8088` || address.startsWith("[fe80:"), address); // one of them wins
      await net.lab.router("attic").outside.unplug();
      await desk.json("stop");
      await serve(desk);
      assert.match((await pinged(desk, "attic")).path ?? "none", /^tcp[46]$/);
      const { eachOther, elsewhere } = await crossed();
      assert.ok(elsewhere > 0, "the router does count");
      assert.equal(eachOther, 0);
    });

    test("meet where there is no internet from the start", async () => {
      await using net = await NetnsNodes.online("(attic desk):nat", {}, signal);
      const { attic, desk } = net.nodes;
      const router = net.lab.router("attic");
      await router.outside.unplug();
      const crossed = await watched(router, [attic, desk]);
      await serve(attic, desk);
      await desk.join(attic);
      assert.match((await pinged(desk, "attic")).path ?? "none", /^tcp[46]$/);
      const address = (await attemptsOf(desk, "attic")).find(({ outcome }) => outcome === "open")?.address ?? "none";
      assert.ok(address === `${attic.host.ip4}:8088` || address.startsWith("[fe80:"), address);
      assert.equal((await crossed()).eachOther, 0);
    });

    test("are not taken for those who have their addresses in another house", async () => {
      const line = "garage:public  barn:public  attic:nat@192.168.1  (desk other):nat@192.168.1";
      await using net = await NetnsNodes.online(line, {}, signal);
      const { garage, barn, attic, desk, other } = net.nodes;
      assert.ok([desk.host.ip4, other.host.ip4].includes(attic.host.ip4));
      await serve(garage, barn, attic, desk, other);
      await befriend([attic, desk], [garage, barn]);
      await eventually(SETTLED_MS, async () => (await viaOf(attic)).length === 2);
      await desk.join(attic);
      const { path, lost } = await pinged(desk, "attic");
      assert.equal(lost, 0);
      assert.match(path ?? "none", /^(relayed|punched)$/);
    });
  });
});

/** What a command needs beside what it waits for, on a machine that has more to do. */
const PROCESS_MS = 3_000;

/** Whoever has no answer by then asks again. */
const PING_MS = 2_000;

interface Crossed {
  /** Packets from one of the nodes to another of them. */
  readonly eachOther: number;
  /** And to anybody else. */
  readonly elsewhere: number;
}

/** Has the router of a house count what it passes on for these nodes. */
async function watched(
  { outside }: { readonly outside: NetnsNode["host"] },
  nodes: readonly NetnsNode[],
): Promise<() => Promise<Crossed>> {
  const all = `{ ${nodes.map(({ host }) => host.ip4).join(", ")} }`;
  // Where Docker was, the kernel shows nft what a switch passes on as well, which is not what a router does.
  await outside.run(["sh", "-c", "sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || true"], signal);
  const nft = async (words: string) => await outside.run(["nft", words], signal);
  await nft("add table inet watch");
  await nft("add chain inet watch forward { type filter hook forward priority -5; }");
  await nft(`add rule inet watch forward ip saddr ${all} ip daddr ${all} counter`);
  await nft(`add rule inet watch forward ip saddr ${all} ip daddr != ${all} counter`);
  return async () => {
    const counts = (await nft("list chain inet watch forward")).matchAll(/counter packets (\d+)/g);
    const [eachOther = Number.NaN, elsewhere = Number.NaN] = Array.from(counts, ([, count]) => Number(count));
    return { eachOther, elsewhere };
  };
}

interface Ping {
  readonly path?: string;
  readonly lost: number;
}

interface Row {
  readonly name: string;
  readonly state: string;
  readonly rttMs?: number;
}

interface Attempt {
  readonly address: string;
  readonly outcome: string;
}

async function serve(...nodes: readonly NetnsNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.serve("--name", node.home.slice(node.home.lastIndexOf("/") + 1))));
}

/** Each of them with an invite of each relay, which passes links on for it; then they look around, as one does. */
async function befriend(nodes: readonly NetnsNode[], relays: readonly NetnsNode[]): Promise<void> {
  const links: string[] = [];
  for (const relay of relays) {
    await using client = await relay.client(signal);
    links.push((await client.invite({ grant: { relay: true }, uses: nodes.length }, signal)).link);
  }
  for (const node of nodes) {
    await using client = await node.client(signal);
    for (const invite of links) await client.join({ invite }, signal);
    await resultOf(client.update({}, signal));
  }
}

/** One round trip, and nothing where there is no answer. */
async function pinged(node: NetnsNode, name: string): Promise<Ping> {
  await using client = await node.client(signal);
  return await resultOf<Ping>(client.ping(name, { count: 1 }, AbortSignal.timeout(PING_MS))).catch(() => ({ lost: 1 }));
}

/** The names of its relays, in order of the alphabet. */
async function viaOf(node: NetnsNode): Promise<string[]> {
  const { relay } = await node.json<{ relay: { via: readonly { name: string }[] } }>("status");
  return relay.via.map(({ name }) => name).sort();
}

/** When it was reached through a relay again, as its log tells: ms after `since`. */
async function relayedAgain(node: NetnsNode, since: number): Promise<readonly number[]> {
  const lines = (await node.run("logs", "--lines", "200")).stdout.split("\n");
  const times = lines
    .filter((line) => line.includes("reached through a relay"))
    .map((line) => /"time":"([^"]+)/.exec(line));
  return times.map((time) => Date.parse(time?.[1] ?? "") - since).filter((ms) => ms >= 0);
}

async function reachableAt(node: NetnsNode): Promise<readonly string[]> {
  return (await node.json<{ addresses: readonly string[] }>("status")).addresses;
}

async function attemptsOf(node: NetnsNode, name: string): Promise<readonly Attempt[]> {
  return (await node.json<{ attempts: readonly Attempt[] }>("why", name)).attempts;
}

/** Real networks take real time, and never more than `ms`. */
async function eventually(ms: number, isSo: () => Promise<boolean | undefined>): Promise<void> {
  const until = Date.now() + ms;
  while ((await isSo()) !== true) {
    assert.ok(Date.now() < until, `not within ${ms} ms`);
    await sleep(300);
  }
}
