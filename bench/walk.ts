/** `p2prc --us` as a person types it, over networks of many nodes 30 ms away, some of them dead. */

import { join } from "node:path";
import { type NetnsHost, NetnsLab, whyNoShapedLab } from "../test/lab/netns/index.ts";
import type { UpdateResult } from "../src/table/index.ts";
import type { VillagePart, VillagePlan } from "./actors/village.ts";
import { Actor } from "./support/actor.ts";
import { type Bench, type Row, verdict } from "./support/bench.ts";
import { Home } from "./support/home.ts";
import { median } from "./support/numbers.ts";

const LAUNCHER = join(import.meta.dirname, "../p2prc");
/** Half of the round trip, on the village's cable, each way. */
const DELAY_MS = 15;

interface Walk extends VillagePlan {
  readonly network: string;
  readonly hops: number;
  readonly rounds: number;
  readonly targetMs?: number;
}

/** With the node that the person knows: 5, 100, 1,000. Three hops reach all others but one in a million. */
const WALKS: readonly Walk[] = [
  { network: "chain", nodes: 3, dead: 0, acquaintances: 0, hops: 4, rounds: 3 },
  { network: "web", nodes: 99, dead: 10, acquaintances: 40, hops: 3, rounds: 5, targetMs: 1_000 },
  { network: "web", nodes: 999, dead: 100, acquaintances: 120, hops: 3, rounds: 3, targetMs: 6_000 },
];

export const walk: Bench = {
  name: "walk",
  summary: "`p2prc --us` over 100 and 1,000 nodes 30 ms away, a tenth of them dead, and over a chain of five",
  lacks: whyNoShapedLab,
  async run(note, signal) {
    const rows: Row[] = [];
    for (const each of WALKS) rows.push(await measure(each, note, signal));
    return [{ title: "`p2prc --us` by a person who knows one node, 30 ms round trip; ms of the median round", rows }];
  },
};

async function measure(plan: Walk, note: (words: string) => void, signal: AbortSignal): Promise<Row> {
  await using lab = await NetnsLab.open({ hosts: { desk: {}, village: { delayMs: DELAY_MS } } }, signal);
  const { desk, village } = lab.hosts;
  await village.own("20.0.0.0/6");
  for (const network of ["20.0.0.0/6", "40.0.0.0/6"]) await lab.routeTo(network, village);
  note(`building ${plan.nodes} nodes`);
  await using nodes = await Actor.start<VillagePart>("village.ts", { namespace: village.namespace });
  const { nodes: count, dead, acquaintances } = plan;
  await nodes.call("build", { nodes: count, dead, acquaintances });
  const seen: Seen[] = [];
  for (let round = 1; round <= plan.rounds; round++) {
    note(`${count} nodes, round ${round} of ${plan.rounds}`);
    const one = await once(plan, { desk, nodes, signal });
    note(JSON.stringify({ round, ...one }));
    seen.push(one);
  }
  return toRow(plan, seen);
}

interface Seen {
  readonly commandMs: number;
  readonly tookMs: number;
  readonly asked: number;
  readonly answered: number;
  readonly trying: number;
}

interface Place {
  readonly desk: NetnsHost;
  readonly nodes: Actor<VillagePart>;
  readonly signal: AbortSignal;
}

/** A new person, with a new node beside him that knows the network: he has asked it for nothing yet. */
async function once({ hops }: Walk, { desk, nodes, signal }: Place): Promise<Seen> {
  await using home = await Home.open();
  const p2prc = (...words: string[]) => desk.run([LAUNCHER, "--home", home.path, ...words], signal);
  try {
    const address = await nodes.call("enter");
    await p2prc("add", address, "--yes");
    await nodes.call("settle");
    const from = performance.now();
    const said = await p2prc("update", "--hops", String(hops), "--json");
    const commandMs = performance.now() - from;
    const { asked, answered, trying, tookMs } = JSON.parse(said) as UpdateResult;
    return { commandMs, tookMs, asked, answered, trying: trying.length };
  } finally {
    await p2prc("stop").catch(() => undefined); // the lab ends what is left
  }
}

function toRow({ network, nodes, dead, hops, targetMs }: Walk, seen: readonly Seen[]): Row {
  const alive = nodes - dead + 1;
  const worst = Math.min(...seen.map(({ answered }) => answered));
  const of = (key: keyof Seen) => median(seen.map((one) => one[key]));
  const inTime = targetMs === undefined || of("commandMs") <= targetMs;
  return {
    network: `${network} of ${nodes + 1 + (network === "chain" ? 1 : 0)}`,
    dead,
    "--hops": hops,
    alive,
    "answered, worst": worst,
    "given up": of("trying"),
    "walk ms": of("tookMs"),
    "command ms": of("commandMs"),
    "worst ms": Math.max(...seen.map(({ commandMs }) => commandMs)),
    target: targetMs === undefined ? "all" : `all, <= ${targetMs}`,
    verdict: verdict(inTime && worst === alive),
  };
}
