/** Whether every two lines to the internet meet: one try of each pair, by the real program. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { NetnsNodes, whyNoUpnpLab } from "../lab/netns/index.ts";
import { acquaint, type Acquainted, matrixKinds, matrixTopology, resultOf } from "../support/nat-matrix.ts";

const { signal } = new AbortController();
/** From wanting to use a friend's node to having asked it something. At the median it is to be 2.5 s, by the bench. */
const MAX_MS = 10_000;

describe("the matrix of NATs", { skip: whyNoUpnpLab(), timeout: 120_000 }, () => {
  let all: Acquainted;
  const opened = new AsyncDisposableStack();
  before(async () => {
    const net = opened.use(await NetnsNodes.online<string>(matrixTopology, {}, signal));
    const nodes = Object.entries(net.nodes);
    await Promise.all(nodes.map(([name, node]) => node.serve("--name", name)));
    all = opened.use(await acquaint(Object.fromEntries(nodes.map(([name, { home }]) => [name, home])), signal));
  });
  after(() => opened.disposeAsync());

  for (const to of matrixKinds) {
    test(`connects all kinds to ${to}`, async () => {
      const { link } = await all.client(`b-${to}`).invite({ uses: matrixKinds.length }, signal);
      const cells = matrixKinds.map(async (from) => {
        const late = AbortSignal.timeout(MAX_MS);
        const client = all.client(`a-${from}`);
        await client.join({ invite: link }, late);
        return await resultOf(client.ping(`b-${to}`, { count: 1 }, late));
      });
      const lost = (await Promise.all(cells)).map((ping) => (ping as { lost: number }).lost);
      assert.deepEqual(lost, [0, 0, 0, 0, 0, 0]);
    });
  }
});
