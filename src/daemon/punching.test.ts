import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { text } from "node:stream/consumers";
import { describe, test } from "node:test";
import { DaemonLab, type LabDaemon } from "../../test/support/daemon-lab.ts";
import { freePorts, until } from "../../test/support/punch-lab.ts";
import { Failure, type NodeId } from "../core/index.ts";
import type { ReachReply } from "../nat/index.ts";
import type { Link, Network, PunchState } from "../network/index.ts";
import { mappingOf, withPunching } from "./punching.ts";

const never = new AbortController().signal;

describe("punching between whole nodes", { timeout: 60_000 }, () => {
  test("is the DHT of the network where a node lends, and says so in its record", async () => {
    await using machines = await DaemonLab.open();
    const garage = await machines.start("garage", { config: { port: await freePorts(4) } });
    const { record } = garage.daemon.parts.own.latest;
    assert.equal(record.udpPort, garage.endpoint.port);
    await until(async () => (await metricsOf(garage)).includes("p2prc_dht_endpoints 4"));
  });

  test("finds a friend who moved while I was looking elsewhere, by his key alone", async () => {
    await using machines = await DaemonLab.open();
    const [first, second] = [await freePorts(4), await freePorts(4)];
    const garage = await machines.start("garage", { config: { port: await freePorts(4) } });
    const attic = await machines.start("attic", { config: { port: first } });
    const guest = await machines.start("guest", { config: { lends: false } });
    for (const host of [garage, attic]) await guest.join(host);
    await attic.join(garage);
    await until(helped(attic));
    await machines.stop("attic");
    const moved = await machines.start("attic", { config: { port: second } });
    const { network } = guest.daemon.parts;
    const known = { host: "127.0.0.1", port: first };
    await until(helped(moved));
    await until(async () => (await punchingOf(guest)).startsWith("possible"));
    network.hangUp(attic.id);
    await until(
      async () => (await linkOf(network.link({ id: attic.id, endpoints: [known], via: [] }, never))) === attic.id,
    );
    // garage, whom both know, may be faster at first.
    const byKey = () =>
      network
        .attempts(attic.id)
        .filter(({ outcome }) => outcome === "open")
        .some(isByKey);
    await until(async () => byKey());
  });

  test("opens no UDP port where a person turned it off, and says so", async () => {
    await using machines = await DaemonLab.open();
    const barn = await machines.start("barn", { config: { punch: false } });
    assert.equal(barn.daemon.parts.own.latest.record.udpPort, 0);
    assert.ok((await metricsOf(barn)).includes("p2prc_dht_endpoints 0"));
    assert.match(await punchingOf(barn), /turned off/);
  });

  test("is not called possible where nobody in the DHT answers", () => {
    const reach = { findings: [] } as unknown as ReachReply;
    const said = (state: Partial<PunchState>) => withPunching(reach, state as PunchState).findings[0]?.words;
    assert.equal(said({ endpoints: 1, nodesKnown: 8 }), "possible, 8 ends of other nodes help");
    assert.equal(said({ endpoints: 1, nodesKnown: 0 }), "no end of another node answers");
    assert.equal(said({ endpoints: 0, nodesKnown: 0 }), "possible, as soon as it is needed");
  });

  test("does not take a DHT that is gone for a network without UDP", () => {
    const silent = { endpoints: 1, asked: 4, nodesKnown: 0, randomized: false };
    assert.equal(mappingOf(silent, { isAlone: false, before: "cone" }), "blocked");
    for (const before of [undefined, "cone", "blocked"] as const)
      assert.equal(mappingOf(silent, { isAlone: true, before }), before, "as it was seen last");
    const answered = { ...silent, nodesKnown: 4, randomized: true };
    assert.equal(mappingOf(answered, { isAlone: false, before: "blocked" }), "symmetric");
  });

  test("opens no UDP port before it is needed where a node does not lend", async () => {
    await using machines = await DaemonLab.open();
    await machines.start("garage", { config: { port: await freePorts(4) } });
    const guest = await machines.start("guest", { config: { lends: false } });
    assert.ok((await metricsOf(guest)).includes("p2prc_dht_endpoints 0"));
  });

  test("closes its ports with lending, and opens them with it", async () => {
    await using machines = await DaemonLab.open();
    const garage = await machines.start("garage", { config: { port: await freePorts(4) } });
    const has = (count: number) => async () => (await metricsOf(garage)).includes(`p2prc_dht_endpoints ${count}`);
    await until(has(4));
    await garage.ask("POST", "/v1/lend", { on: false });
    await until(has(0));
    await garage.ask("POST", "/v1/lend", { on: true });
    await until(has(4));
  });
});

function isByKey({ path, address }: ReturnType<Network["attempts"]>[number]): boolean {
  return path === "punched" || address === "found by key";
}

/** Undefined: it cannot be reached yet. */
async function linkOf(linking: Promise<Link>): Promise<NodeId | undefined> {
  try {
    return (await linking).peer;
  } catch (error) {
    if (error instanceof Failure) return undefined;
    throw error;
  }
}

/** Whether others of the DHT have answered it. */
function helped(node: LabDaemon): () => Promise<boolean> {
  return async () => /p2prc_dht_nodes [1-9]/.test(await metricsOf(node));
}

async function punchingOf(node: LabDaemon): Promise<string> {
  const { findings } = await node.ask<ReachReply>("GET", "/v1/reach");
  return findings.find(({ about }) => about === "punching")?.words ?? "";
}

async function metricsOf({ daemon }: LabDaemon): Promise<string> {
  const { home } = daemon.parts;
  const asked = request({ socketPath: home.socket, path: "/metrics" }).end();
  const [reply] = (await once(asked, "response")) as [IncomingMessage];
  return await text(reply);
}
