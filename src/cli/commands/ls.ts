/** p2prc ls: which nodes can be used, the nearest first? */

import type { Client } from "../../client/index.ts";
import { command } from "../command.ts";
import { type Io, printJson } from "../io.ts";
import { printNodes, printSeedBlocks, sortNodes, type SortKey } from "../nodes.ts";

interface Flags {
  readonly sort?: SortKey;
  readonly all?: boolean;
  readonly explain?: boolean;
  readonly blocks?: boolean;
}

export interface ListOptions extends Flags {
  readonly json: boolean;
}

export const ls = command<Flags>({
  options: [
    {
      flags: "--sort <by>",
      summary: "nearest first (rtt), or fastest first to here (down) or from here (up)",
      choices: ["rtt", "down", "up"],
    },
    { flags: "-a, --all", summary: "strangers too: nodes that others told of and nobody here joined" },
    { flags: "--explain", summary: "show what each node's place in the list is made of" },
    { flags: "--blocks", summary: "in the format of `p2prc --ls`", hidden: true },
  ],
  about: "Joined nodes come first: those of one's own, those whose invite was accepted, and those added by hand.",
  examples: [
    { command: "p2prc ls", about: "the nodes one has joined" },
    { command: "p2prc ls --all --sort down", about: "everybody, the fastest download first" },
    { command: "p2prc ls --json | jq -r '.nodes[].name'", about: "names for a script" },
    { command: "p2prc --ls", about: "all of them as the first P2PRC listed them" },
  ],
  json: {
    nodes: "list of nodes, best first",
    "nodes[].name": "local name, else what it calls itself, else its short id",
    "nodes[].claimedName": "what it calls itself now",
    "nodes[].id": "its key",
    "nodes[].relation": "own, friend or stranger",
    "nodes[].state": "heard, verified, trying or suspect",
    "nodes[].path": "how it was reached last: tcp6, tcp4, punched, relayed",
    "nodes[].rttMs": "median round trip",
    "nodes[].jitterMs": "how much it varies",
    "nodes[].downBytesPerSecond": "from that node to this one",
    "nodes[].upBytesPerSecond": "from this node to that one",
    "nodes[].resources": "cpus, memoryBytes, diskBytes, gpus[].model, gpus[].memoryBytes",
    "nodes[].addresses": "best first",
    "nodes[].port": "TCP port",
    "nodes[].nat": "what stands before it",
    "nodes[].via": "ids of nodes that pass links on to it",
    "nodes[].viaNames": "and their names here, in the same order",
    "nodes[].lends": "whether it lends to anybody",
    "nodes[].grant": "what this node granted it: expires",
    "nodes[].lastSeen": "when it last answered, ISO 8601",
    "nodes[].version": "of its program",
    "nodes[].labels": "its owner's labels",
    "nodes[].info": "its owner's words",
    "nodes[].rank": "score, parts[].part, parts[].points, parts[].why",
    strangers: "how many strangers were left out",
  },

  async run({ flags, home, json }, io) {
    await using client = await io.open({ home });
    await listNodes(client, { ...flags, json, all: flags.all === true || flags.blocks === true }, io);
  },
});

/** Also what an update ends with. */
export async function listNodes(client: Client, options: ListOptions, io: Io): Promise<void> {
  const { nodes, strangers } = await client.nodes({ all: options.all === true }, io.signal);
  const sorted = sortNodes(nodes, options.sort);
  if (options.json) printJson(io, { nodes: sorted, strangers });
  else {
    if (options.blocks === true) printSeedBlocks(sorted, io);
    else printNodes(sorted, { explain: options.explain === true }, io);
    if (sorted.length === 0)
      io.err(
        `no node is ${options.all === true ? "known" : "joined"} yet: accept an invite with \`p2prc join\`, add a node with \`p2prc add\`, or look around with \`p2prc update\``,
      );
    if (strangers > 0) io.err(`${strangers} more that nobody here joined: \`p2prc ls --all\``, "dim");
  }
}
