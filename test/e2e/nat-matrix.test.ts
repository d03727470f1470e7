/** Whether every two lines to the internet meet: one try of each pair, by the real program. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { PingResult } from "../../src/measure/index.ts";
import { NetnsNodes, whyNoUpnpLab } from "../lab/netns/index.ts";
import {
  acquaint,
  type Acquainted,
  bestPath,
  isDirect,
  type MatrixKind,
  matrixKinds,
  matrixTopology,
  resultOf,
} from "../support/nat-matrix.ts";

const { signal } = new AbortController();
/** From wanting to use a friend's node to having asked it something. At the median it is to be 2.5 s, by the bench. */
const MAX_MS = 15_000;
/** Ordinary pairs have 10 s from when they met; all of them ask each other at once here. */
const DIRECT_MS = 20_000;

describe("the matrix of NATs", { skip: whyNoUpnpLab(), timeout: 180_000 }, () => {
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
      const pings = await Promise.all(
        matrixKinds.map(async (from) => {
          const late = AbortSignal.timeout(MAX_MS);
          await all.client(`a-${from}`).join({ invite: link }, late);
          return await pinged({ from, to }, late);
        }),
      );
      assert.deepEqual(
        pings.map(({ lost }) => lost),
        [0, 0, 0, 0, 0, 0],
      );
    });
  }

  // What a symmetric router and an ordinary one come to has to be guessed, and takes up to half a minute: see the bench.
  const ordinary = matrixKinds.flatMap((from) => matrixKinds.map((to) => ({ from, to }))).filter(isOrdinary);

  test("finds a path without a third node wherever one side can be dialled or both are ordinary", async () => {
    const until = Date.now() + DIRECT_MS;
    let left = ordinary;
    while (left.length > 0 && Date.now() < until) {
      const pings = await Promise.all(left.map(async (pair) => ({ pair, ...(await pinged(pair, signal)) })));
      left = pings.filter(({ path }) => !isDirect(path ?? "none")).map(({ pair }) => pair);
      if (left.length > 0) await sleep(500);
    }
    assert.deepEqual(left, []);
  });

  async function pinged({ from, to }: Pair, late: AbortSignal): Promise<PingResult> {
    return await resultOf<PingResult>(all.client(`a-${from}`).ping(`b-${to}`, { count: 1 }, late));
  }
});

interface Pair {
  readonly from: MatrixKind;
  readonly to: MatrixKind;
}

function isOrdinary({ from, to }: Pair): boolean {
  const dialled = [from, to].some((kind) => kind === "public" || kind === "upnp");
  return bestPath(from, to) === "direct" && (dialled || (from !== "symmetric" && to !== "symmetric"));
}
