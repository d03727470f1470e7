import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DaemonLab, type LabDaemon } from "../../test/support/daemon-lab.ts";
import { systemClock } from "../base/index.ts";
import type { ReachReply } from "../nat/index.ts";

const { signal } = new AbortController();

describe("how others reach a node", { timeout: 60_000 }, () => {
  test("is found out with the help of two others, and nobody else", async () => {
    await using lab = await DaemonLab.open();
    const at = (host: string) => ({ config: { listen: [host] } });
    const attic = await lab.start("attic", at("127.0.0.2"));
    const [barn, cellar] = [await lab.start("barn", at("127.0.0.3")), await lab.start("cellar", at("127.0.0.4"))];
    assert.equal((await reachOf(attic)).nat, "unknown");
    await attic.join(barn);
    await attic.join(cellar);
    const { addresses, reachableBy } = await until(attic, ({ nat }) => nat === "none");
    assert.deepEqual(addresses, [
      { address: "127.0.0.2", port: attic.endpoint.port, origin: "own", finding: "verified", reachedBy: 2, askedOf: 2 },
    ]);
    assert.match(reachableBy.join(), /^direct connections \(IPv4\)/);
    assert.equal(attic.daemon.parts.own.latest.record.nat, "none");
    assert.equal(attic.daemon.parts.reachability.needsRelay, false);
  });

  test("is nothing that is known while it does not lend", async () => {
    await using lab = await DaemonLab.open();
    const attic = await lab.start("attic", { config: { lends: false } });
    const { lends, addresses, reachableBy } = await reachOf(attic);
    assert.deepEqual([lends, addresses, reachableBy], [false, [], []]);
    const { record } = attic.daemon.parts.own.latest;
    assert.deepEqual([record.addresses, record.port, record.udpPort], [[], 0, 0]);
  });

  test("begins and ends with lending, also in the record", async () => {
    await using lab = await DaemonLab.open();
    const attic = await lab.start("attic");
    const { own } = attic.daemon.parts;
    assert.deepEqual([own.latest.record.addresses, own.latest.record.lends], [["127.0.0.1"], true]);
    await attic.ask("POST", "/v1/lend", { on: false });
    assert.deepEqual([own.latest.record.addresses, own.latest.record.lends], [[], false]);
  });
});

function reachOf(node: LabDaemon): Promise<ReachReply> {
  return node.ask<ReachReply>("GET", "/v1/reach");
}

async function until(node: LabDaemon, isIt: (reach: ReachReply) => boolean): Promise<ReachReply> {
  for (let tries = 0; tries < 150; tries++) {
    const reach = await reachOf(node);
    if (isIt(reach)) return reach;
    await systemClock.sleep(100, signal);
  }
  return assert.fail(JSON.stringify(await reachOf(node)));
}
