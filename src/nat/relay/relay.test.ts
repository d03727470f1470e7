import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RelayNode } from "../../../test/support/relay-lab.ts";

const never = new AbortController().signal;

describe("two nodes that cannot dial each other", { timeout: 20_000 }, () => {
  test("ping each other through a third", async () => {
    await using garage = await (await RelayNode.open()).listen();
    await using attic = await RelayNode.open();
    await using barn = await RelayNode.open({ relays: () => [garage.dialable] });
    await attic.chooses(garage);
    const link = await barn.network.link({ id: attic.id, endpoints: [], via: [garage.id] }, never);
    assert.deepEqual(link.path, { kind: "relayed", remote: "via garage", via: garage.id });
    assert.equal(link.peer, attic.id);
    assert.ok((await link.ping(never)) > 0);
    const attempts = barn.network.attempts(attic.id);
    assert.deepEqual(
      attempts.map(({ path, address, outcome }) => `${path} ${address} ${outcome}`),
      ["relayed via garage open"],
    );
    assert.equal(garage.relay.counts.opened, 1);
  });
});
