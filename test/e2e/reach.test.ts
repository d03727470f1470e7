/** How others reach a node, as the real program finds out on an internet of namespaces with a real miniupnpd. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ReachReply } from "../../src/nat/index.ts";
import { type NetnsNode, NetnsNodes, whyNoNatLab } from "../lab/netns/index.ts";

const { signal } = new AbortController();

describe("a node behind a router that opens ports", { skip: whyNoNatLab(), timeout: 120_000 }, () => {
  const open = () => NetnsNodes.online("garage:public  barn:public  attic:upnp", {}, signal);
  let net: Awaited<ReturnType<typeof open>>;
  before(async () => {
    net = await open();
    const { garage, barn, attic } = net.nodes;
    await Promise.all([garage, barn, attic].map((node) => node.serve()));
    await attic.join(garage);
    await attic.join(barn);
  });
  after(() => net[Symbol.asyncDispose]());

  test("is reached through the mapping once two nodes got in, and says so", async () => {
    const { attic } = net.nodes;
    const reach = await until(attic, ({ nat }) => nat === "mapped");
    const external = net.lab.router("attic").ip4;
    assert.deepEqual(
      reach.addresses.map(({ address, port, origin, finding, reachedBy }) => [
        address,
        port,
        origin,
        finding,
        reachedBy,
      ]),
      [[external, 8088, "mapped", "verified", 2]],
    );
    const { stdout } = await attic.run("doctor");
    assert.match(stdout, /PCP: mapped 8088 tcp\S*, verified by 2 peers/);
  });
});

async function until(node: NetnsNode, isIt: (reach: ReachReply) => boolean): Promise<ReachReply> {
  for (let tries = 0; ; tries++) {
    const { reach } = JSON.parse((await node.run("doctor", "--json")).stdout) as { readonly reach: ReachReply };
    if (isIt(reach)) return reach;
    if (tries > 40)
      throw new Error(
        `never so: ${JSON.stringify(reach, undefined, 1)}\n${(await node.run("logs", "--lines", "60")).stdout}`,
      );
    await sleep(500);
  }
}
