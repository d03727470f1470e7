/**
 * The nearest node with a GPU, from a program of one's own: `node examples/nearest.ts`.
 *
 * A client speaks to the daemon of this person's home, and starts it where none runs. Outside of this
 * repository, import from "p2prc".
 */

import { openClient } from "../src/client/index.ts";

const { signal } = new AbortController();
await using client = await openClient({}, signal);

const { nodes } = await client.nodes({ all: false }, signal); // best first
const node = nodes.find(({ resources }) => (resources?.gpus.length ?? 0) > 0) ?? nodes[0];

if (node === undefined) {
  console.error("no node is joined yet: p2prc join");
} else {
  for await (const step of client.ping(node.name, { count: 3 }, signal)) {
    if ("result" in step) console.log(`${node.name}: ${step.result.medianMs.toFixed(1)} ms by ${step.result.path}`);
  }
}
