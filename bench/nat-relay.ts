/** What it costs to be passed on by a third node, and what it costs that node. */

import { join } from "node:path";
import type { NodeId } from "../src/core/index.ts";
import { NatLab, whyNoNatLab } from "../test/lab/netns/index.ts";
import { befriend } from "../test/support/nat-matrix.ts";
import type { DaemonPart } from "./actors/daemon.ts";
import type { RelayPart } from "./actors/relay-node.ts";
import type { TlsPart } from "./actors/tls.ts";
import { Actor } from "./support/actor.ts";
import { type Bench, type Row, type Table, verdict } from "./support/bench.ts";
import { Home } from "./support/home.ts";
import { alternate, MB, MIB, median } from "./support/numbers.ts";
import { cpuMs } from "./support/process-costs.ts";
import { keepRaw } from "./support/raw.ts";

const BYTES = 128 * MB;
const ROUNDS = 5;
const RATIO = 0.5;
const LINE = "garage:public  attic:nat  desk:nat  shed:udp-blocked  hut:udp-blocked";
const WAYS = ["plain TLS", "tcp4", "relayed", "punched"] as const;
type Way = (typeof WAYS)[number];
const SETTLE_MS = 60_000;

/** A node takes 512 pipes. */
const IDLE_LINKS = 500;
/** Of one asker: what one account of a relay has room for. */
const PER_ASKER = 250;
const IDLE_MS = 60_000;

export const natRelay: Bench = {
  name: "nat-relay",
  summary: "throughput through a relay and through a punched hole beside direct TLS, and what idle links cost a relay",
  lacks: whyNoNatLab,
  async run(note, signal) {
    note("throughput");
    const throughput = await measureThroughput(note, signal);
    note(`${IDLE_LINKS} links through one relay`);
    return [throughput, await measureIdle()];
  },
};

async function measureThroughput(note: (words: string) => void, signal: AbortSignal): Promise<Table> {
  await using lab = await NatLab.open(LINE, {}, signal);
  await using folder = await Home.open();
  await using actors = new AsyncDisposableStack();
  const nodes = new Map<string, Actor<DaemonPart>>();
  const ids = new Map<string, NodeId>();
  const homeOf = (name: string) => join(folder.path, name);
  for (const [name, { namespace }] of Object.entries(lab.hosts)) {
    const actor = actors.use(await Actor.start<DaemonPart>("daemon.ts", { namespace }));
    ids.set(name, await actor.call("open", { home: homeOf(name), name }));
    nodes.set(name, actor);
  }
  for (const name of ["attic", "desk", "shed", "hut"]) await befriend(homeOf(name), homeOf("garage"), signal);
  for (const [name, issuer] of [
    ["desk", "attic"],
    ["hut", "shed"],
  ] as const) {
    await befriend(homeOf(name), homeOf(issuer), signal);
  }
  const tls = await plainTls(lab, actors);
  const pull = async (from: string, to: string, path: string) => {
    const said = await nodes.get(from)?.call("pull", { id: ids.get(to) as NodeId, bytes: BYTES });
    if (said?.path !== path) throw new Error(`${from} has come to ${to} by ${said?.path}, not ${path}`);
    return said.ms;
  };
  const found = await nodes.get("desk")?.call("untilDirect", { id: ids.get("attic") as NodeId, withinMs: SETTLE_MS });
  if (found === undefined) throw new Error("desk and attic found no path of their own");
  const measure: Readonly<Record<Way, () => Promise<number>>> = {
    "plain TLS": tls,
    tcp4: () => pull("desk", "garage", "tcp4"),
    relayed: () => pull("hut", "shed", "relayed"),
    punched: () => pull("desk", "attic", "punched"),
  };
  const ms = await alternate(WAYS, ROUNDS, async (way) => {
    const took = await measure[way]();
    note(`${way} ${Math.round(took)} ms`);
    return took;
  });
  await keepRaw(
    "nat-relay",
    WAYS.flatMap((way) => ms[way].map((took) => ({ way, bytes: BYTES, ms: took }))),
  );
  const rows = WAYS.map((way): Row => {
    const ratio = median(ms["plain TLS"]) / median(ms[way]);
    return {
      way,
      "MB/s": BYTES / MB / (median(ms[way]) / 1_000),
      "/ plain TLS": ratio,
      target: way === "relayed" ? `>= ${RATIO}` : "",
      verdict: way === "relayed" ? verdict(ratio >= RATIO) : "",
    };
  });
  return {
    title: "One stream between two nodes by each kind of path, no delay; plain TLS between two Node processes",
    rows,
  };
}

async function plainTls(lab: NatLab<"garage" | "desk">, actors: AsyncDisposableStack): Promise<() => Promise<number>> {
  const { garage, desk } = lab.hosts;
  const server = actors.use(await Actor.start<TlsPart>("tls.ts", { namespace: garage.namespace }));
  const client = actors.use(await Actor.start<TlsPart>("tls.ts", { namespace: desk.namespace }));
  const host = garage.ip4;
  const port = await server.call("listen", host);
  return async () => await client.call("pull", { port, host, streams: 1, bytes: BYTES });
}

async function measureIdle(): Promise<Table> {
  await using relay = await Actor.start<RelayPart>("relay-node.ts");
  await using targets = await Actor.start<RelayPart>("relay-node.ts");
  await using askers = await Actor.start<RelayPart>("relay-node.ts");
  const garage = await relay.call("listen");
  const bare = await relay.call("rss");
  const ids = await targets.call("make", IDLE_LINKS);
  await relay.call("admit", ids);
  await targets.call("register", garage);
  const registered = await relay.call("rss");
  for (let i = 0; i < ids.length; i += PER_ASKER)
    await askers.call("reach", { relay: garage, ids: ids.slice(i, i + PER_ASKER) });
  const reached = await relay.call("rss");
  const before = cpuMs(relay.pid) ?? Number.NaN;
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const cpu = (((cpuMs(relay.pid) ?? Number.NaN) - before) / IDLE_MS) * 100;
  const perThousand = (bytes: number) => (bytes / MIB / ids.length) * 1_000;
  const row: Row = {
    nodes: ids.length,
    "links through it, open at the end": await askers.call("open"),
    "MiB a 1,000 nodes": perThousand(registered - bare),
    "MiB a 1,000 links through it": perThousand(reached - registered),
    "CPU % a 1,000, idle": (cpu / ids.length) * 1_000,
  };
  return { title: `A relay of ${IDLE_LINKS} nodes, with an idle link through it to each`, rows: [row] };
}
