/** How others reach a node, as the real program finds out on an internet of namespaces with a real miniupnpd. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ReachReply } from "../../src/nat/index.ts";
import { type NetnsNode, NetnsNodes, whyNoNatLab } from "../lab/netns/index.ts";

const { signal } = new AbortController();
/** The machine may be busy with other tests. */
const PATIENCE_MS = 40_000;

describe("nodes behind routers", { skip: whyNoNatLab(), timeout: 240_000 }, () => {
  const topology = "garage:public  barn:public  (attic desk):upnp-ipv6  shed:ipv6-firewall  (bunker:upnp):nat";
  const open = () => NetnsNodes.online(topology, {}, signal);
  let net: Awaited<ReturnType<typeof open>>;
  before(async () => {
    net = await open();
    const { garage, barn, attic, shed, bunker } = net.nodes;
    await Promise.all([garage, barn, attic, shed, bunker].map((node) => node.serve("--name", nameOf(node))));
    for (const node of [attic, shed, bunker]) {
      await node.join(garage, "--relay");
      await node.join(barn, "--relay");
    }
  });
  after(() => net[Symbol.asyncDispose]());

  test("are reached through ports that the router opened, once two others got in", async () => {
    const { attic } = net.nodes;
    const { addresses } = await until(attic, (reach) => verified(reach).length === 2);
    const [four, six] = [net.lab.router("attic").ip4, attic.host.ip6];
    assert.deepEqual(
      addresses.map(({ address, port, origin, finding }) => [address, port, origin, finding]),
      [
        [six, 8088, "own", "verified"],
        [four, 8088, "mapped", "verified"],
      ],
    );
    const { stdout } = await attic.run("doctor");
    assert.match(stdout, /PCP: mapped 8088 tcp\S*, verified by 2 peers {3}IPv6: yes, verified by 2 peers/);
    assert.match(stdout, /reachable by: direct connections \(IPv6 and IPv4\)/);
  });

  test("are told what keeps others out, and what would let them in", async () => {
    const isSure = ({ addresses }: ReachReply) =>
      addresses.length === 2 && addresses.every(({ askedOf }) => askedOf >= 2);
    const reach = await until(net.nodes.shed, isSure);
    assert.deepEqual(
      reach.addresses.map(({ origin, finding }) => [origin, finding]),
      [
        ["own", "silent"],
        ["nat", "silent"],
      ],
    );
    const six = reach.findings.find(({ about }) => about === "IPv6");
    assert.equal(six?.words, "yes, inbound blocked by your router");
    assert.equal(six?.fix, "allow TCP 8088 in for IPv6 on the router to be reachable directly");
  });

  test("do not believe a router that is itself behind another one", async () => {
    const reach = await until(net.nodes.bunker, ({ observed, findings }) => observed.length > 0 && findings.length > 1);
    assert.deepEqual(verified(reach), []);
    const mapping = reach.findings.find(({ ok, about }) => !ok && about !== "NAT");
    assert.ok(mapping?.fix !== undefined, JSON.stringify(reach.findings));
  });

  test("find each other in the same house, and meet inside it", async () => {
    const { attic, desk } = net.nodes;
    await desk.serve("--name", "desk");
    await desk.join(attic);
    const { path, remote } = await pingOf(desk, "attic");
    assert.ok(path.startsWith("tcp"), path);
    const house = [`${attic.host.ip4}:8088`, `[${attic.host.ip6}]:8088`];
    assert.ok(house.includes(remote) || remote.startsWith("[fe80:"), remote);
  });

  test("are reached again soon after they moved to another address", async () => {
    const { garage, shed } = net.nodes;
    await until(shed, ({ via }) => via.length >= 2);
    await garage.join(shed);
    assert.equal((await garage.run("ping", "shed", "--count", "1")).exit, 0);
    await shed.host.readdress();
    const begun = performance.now();
    await eventually(async () => {
      const { links } = await shed.json<{ links: readonly { readonly asks: boolean }[] }>("status");
      const { via } = await reachOf(shed);
      return via.length >= 2 && links.some(({ asks }) => asks);
    });
    await eventually(async () => (await garage.run("ping", "shed", "--count", "1")).exit === 0);
    assert.ok(performance.now() - begun < PATIENCE_MS);
    const { stdout } = await shed.run("logs");
    assert.match(stdout, /the network changed/);
  });

  test("close what they opened when they end", async () => {
    const { attic } = net.nodes;
    await attic.run("stop");
    const rules = await net.lab.router("attic").outside.run(["nft", "list", "ruleset"], signal);
    assert.ok(!rules.includes(`dnat ip to ${attic.host.ip4}`), rules);
  });
});

function verified({ addresses }: ReachReply): readonly string[] {
  return addresses.filter(({ finding }) => finding === "verified").map(({ address }) => address);
}

async function pingOf(node: NetnsNode, name: string): Promise<{ readonly path: string; readonly remote: string }> {
  const { path } = await node.json<{ readonly path: string }>("ping", name, "--count", "1");
  const { attempts } = await node.json<{ readonly attempts: readonly Attempt[] }>("why", name);
  return { path, remote: attempts.findLast(({ outcome }) => outcome === "open")?.address ?? "" };
}

interface Attempt {
  readonly address: string;
  readonly outcome: string;
}

async function until(node: NetnsNode, isIt: (reach: ReachReply) => boolean): Promise<ReachReply> {
  let reach = await reachOf(node);
  await eventually(
    async () => {
      reach = await reachOf(node);
      return isIt(reach);
    },
    () => JSON.stringify(reach, undefined, 1),
  );
  return reach;
}

async function reachOf(node: NetnsNode): Promise<ReachReply> {
  return (JSON.parse((await node.run("doctor", "--json")).stdout) as { readonly reach: ReachReply }).reach;
}

async function eventually(isIt: () => Promise<boolean>, words = () => "never so"): Promise<void> {
  const end = performance.now() + PATIENCE_MS;
  while (!(await isIt())) {
    if (performance.now() > end) assert.fail(words());
    await sleep(300);
  }
}

function nameOf({ home }: NetnsNode): string {
  return home.slice(home.lastIndexOf("/") + 1);
}
