/** Networks that lie, and that let no TCP through: the real program on an internet of namespaces. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ReachReply } from "../../src/nat/index.ts";
import { type NetnsNode, NetnsNodes, whyNoNatLab, whyNoUpnpLab } from "../lab/netns/index.ts";
import { resultOf } from "../support/nat-matrix.ts";

const { signal } = new AbortController();
/** The machine may be busy with other tests. */
const PATIENCE_MS = 60_000;
/** Documented nowhere in the lab, and public by its looks. */
const LIE = "9.9.9.9";

describe("networks that nobody should believe", { skip: whyNoNatLab(), timeout: 280_000 }, () => {
  test("a router that lies about its address: what others see is told, and what it says is not", {
    skip: whyNoUpnpLab(),
  }, async () => {
    await using net = await NetnsNodes.online("garage:public  barn:public  attic:upnp", {}, signal);
    const { garage, barn, attic } = net.nodes;
    await net.lab.router("attic").claim(LIE);
    await serve(garage, barn, attic);
    for (const node of [garage, barn]) await attic.join(node);
    const truth = net.lab.publicIp4("attic");
    const verified = ({ addresses }: ReachReply) => addresses.filter(({ finding }) => finding === "verified");
    await eventually(async () => verified(await reachOf(attic)).length === 1);
    const reach = await reachOf(attic);
    assert.deepEqual(
      verified(reach).map(({ address }) => address),
      [truth],
    );
    assert.match((await attic.run("doctor")).stdout, new RegExp(`though the router says its address is ${LIE}`));
    await garage.join(attic);
    await eventually(async () => (await addressesOf(garage, "attic")).includes(truth));
    for (const node of [garage, barn, attic]) {
      const { stdout } = await node.run("ls", "--all", "--json");
      assert.ok(!stdout.includes(LIE), stdout);
    }
    assert.equal((await pinged(garage, "attic")).path, "tcp4");
  });

  test("a network that resets TCP: by UDP there is a way, then there is none and a clear word, then all is as before", async () => {
    await using net = await NetnsNodes.online("garage:public  barn:public  attic:public  desk:nat", {}, signal);
    const { garage, barn, attic, desk } = net.nodes;
    await serve(garage, barn, attic);
    await desk.json("ls");
    for (const node of [garage, barn, attic]) await desk.join(node);
    for (const node of [garage, barn]) await attic.join(node);
    await eventually(async () => (await pinged(desk, "attic")).path === "tcp4");
    const router = net.lab.router("desk");
    await router.setPolicy({ tcp: "reset" });
    await eventually(async () => (await pinged(desk, "attic")).path === "punched");
    const tried = await whyOf(desk);
    assert.ok(
      tried.attempts.some(({ path, outcome }) => path === "tcp4" && outcome === "unreachable"),
      JSON.stringify(tried),
    );
    await router.setPolicy({ tcp: "reset", udp: "drop" });
    await desk.json("stop");
    const { exit, stderr } = await desk.run("ping", "attic", "--count", "1");
    assert.equal(exit, 4, stderr);
    assert.match(stderr, /refused: .*no node of the DHT answers: .* lets no UDP through/);
    await router.setPolicy({});
    await eventually(async () => (await pinged(desk, "attic")).path === "tcp4");
  });

  test("a DHT whose nodes are all gone: what was punched goes on, and others are found when they are back", async () => {
    await using net = await NetnsNodes.online("garage:public  barn:public  attic:nat  desk:nat", {}, signal);
    const { garage, barn, attic, desk } = net.nodes;
    await serve(garage, barn, attic);
    await desk.json("ls");
    for (const node of [garage, barn]) await attic.join(node);
    for (const node of [garage, barn]) await desk.join(node);
    await eventually(async () => (await attic.json<Status>("status")).relay.via.length === 2);
    await desk.join(attic);
    await eventually(async () => (await pinged(desk, "attic")).path === "punched");
    for (const node of [garage, barn]) await node.kill();
    await eventually(async () => (await pinged(desk, "attic")).path === "punched");
    await desk.json("stop");
    const { exit, stderr } = await desk.run("ping", "attic", "--count", "1");
    assert.equal(exit, 4, "nobody is left who knows where it is");
    assert.match(stderr, /no node of the DHT answers|no node of the network is known/);
    await serve(garage, barn);
    await eventually(async () => (await pinged(desk, "attic")).path === "punched");
  });
});

interface Status {
  readonly relay: { readonly via: readonly unknown[] };
}

interface Tried {
  readonly attempts: readonly { readonly path: string; readonly outcome: string }[];
}

async function serve(...nodes: readonly NetnsNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.serve("--name", node.home.slice(node.home.lastIndexOf("/") + 1))));
}

async function reachOf(node: NetnsNode): Promise<ReachReply> {
  return (JSON.parse((await node.run("doctor", "--json")).stdout) as { readonly reach: ReachReply }).reach;
}

async function addressesOf(node: NetnsNode, name: string): Promise<readonly string[]> {
  const { exit, stdout } = await node.run("info", name, "--json");
  return exit === 0 ? (JSON.parse(stdout) as { node: { addresses: readonly string[] } }).node.addresses : [];
}

async function whyOf(node: NetnsNode): Promise<Tried> {
  return await node.json<Tried>("why", "attic");
}

/** One round trip, and nothing where there is no answer. */
async function pinged(node: NetnsNode, name: string): Promise<{ readonly path?: string }> {
  await using client = await node.client(signal);
  return await resultOf<{ readonly path: string }>(client.ping(name, { count: 1 }, AbortSignal.timeout(PING_MS))).catch(
    () => ({}),
  );
}

const PING_MS = 5_000;

/** Real networks take real time. */
async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + PATIENCE_MS;
  while (!(await isSo())) {
    assert.ok(Date.now() < until, `not within ${PATIENCE_MS} ms`);
    await sleep(300);
  }
}
