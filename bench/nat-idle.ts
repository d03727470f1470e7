/** What a node that nobody can dial sends and receives with nothing to do: links to its relays, its mappings, the DHT. */

import { readFileSync } from "node:fs";
import { env } from "node:process";
import { type NetnsNode, NetnsNodes, whyNoNatLab } from "../test/lab/netns/index.ts";
import { resultOf } from "../test/support/nat-matrix.ts";
import { type Bench, type Row, verdict } from "./support/bench.ts";
import { keepRaw } from "./support/raw.ts";
import { MIB } from "./support/numbers.ts";
import { cpuMs, rssBytes } from "./support/process-costs.ts";

const IDLE_MS = Number(env["BENCH_MINUTES"] ?? 10) * 60_000;
/** Joining, first tables, first speeds and finding out how it is reached are not idleness. */
const SETTLE_MS = 150_000;
/** Raw rows are kept of each. */
const STEP_MS = 60_000;
const DAY_MS = 24 * 3_600_000;
const NAT_DAY_MB = 30;
const PUBLIC_DAY_MB = 10;

interface Watched {
  readonly name: string;
  readonly pid: number;
  readonly targetMb: number;
}

interface Costs {
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly sent: number;
  readonly received: number;
  readonly packets: number;
}

export const natIdle: Bench = {
  name: "nat-idle",
  summary:
    "ten (or BENCH_MINUTES) minutes of a node behind a NAT with nothing to do, and of one that others are reached through: bytes both ways",
  lacks: whyNoNatLab,
  async run(note, signal) {
    const line = "garage:public  barn:public  shed:public  attic:nat  desk:symmetric";
    await using net = await NetnsNodes.online(line, { roundTripMs: 40 }, signal);
    const { garage, barn, shed, attic, desk } = net.nodes;
    note("starting the nodes");
    for (const [name, node] of Object.entries(net.nodes)) await node.serve("--name", name);
    for (const node of [attic, desk]) await befriend(node, [garage, barn, shed], signal);
    note(`waiting ${SETTLE_MS / 1000} s until they have found their ways`);
    await rest(SETTLE_MS, signal);
    const watched: Watched[] = [
      { name: "attic, ordinary NAT", pid: await pidOf(attic), targetMb: NAT_DAY_MB },
      { name: "desk, symmetric NAT", pid: await pidOf(desk), targetMb: NAT_DAY_MB },
      { name: "garage, public: relay and DHT", pid: await pidOf(garage), targetMb: PUBLIC_DAY_MB },
    ];
    const seen = [watched.map(costsOf)];
    for (let ms = STEP_MS; ms <= IDLE_MS; ms += STEP_MS) {
      await rest(STEP_MS, signal);
      seen.push(watched.map(costsOf));
      note(`${ms / 60_000} of ${IDLE_MS / 60_000} minutes`);
    }
    await keepRaw(
      "nat-idle",
      seen.flatMap((costs, minute) => costs.map((each, i) => ({ minute, node: watched[i]?.name, ...each }))),
    );
    const rows = watched.map((node, i) => rowOf(node, seen[0]?.[i], seen.at(-1)?.[i]));
    return [{ title: `Nodes with nothing to do, over ${IDLE_MS / 60_000} minutes`, rows }];
  },
};

async function befriend(node: NetnsNode, relays: readonly NetnsNode[], signal: AbortSignal): Promise<void> {
  await using client = await node.client(signal);
  for (const relay of relays) {
    await using issuer = await relay.client(signal);
    await client.join({ invite: (await issuer.invite({ grant: { relay: true } }, signal)).link }, signal);
  }
  await resultOf(client.update({}, signal));
}

async function pidOf(node: NetnsNode): Promise<number> {
  return (await node.json<{ readonly pid: number }>("status")).pid;
}

/** Read in the process's own namespace: `/proc/<pid>/net` is that of its network. */
function costsOf({ pid }: Watched): Costs {
  const line = /^\s*eth0:(.*)$/m.exec(readFileSync(`/proc/${pid}/net/dev`, "utf8"))?.[1] ?? "";
  const [received = Number.NaN, receivedPackets = 0, , , , , , , sent = Number.NaN, sentPackets = 0] = line
    .trim()
    .split(/\s+/)
    .map(Number);
  return {
    cpuMs: cpuMs(pid) ?? Number.NaN,
    rssBytes: rssBytes(pid) ?? Number.NaN,
    sent,
    received,
    packets: receivedPackets + sentPackets,
  };
}

function rowOf({ name, targetMb }: Watched, before: Costs | undefined, after: Costs | undefined): Row {
  if (before === undefined || after === undefined) return { node: name };
  const [sent, received] = [after.sent - before.sent, after.received - before.received];
  const dayMb = ((sent + received) * (DAY_MS / IDLE_MS)) / 1e6;
  return {
    node: name,
    "sent B": sent,
    "received B": received,
    "packets a minute": (after.packets - before.packets) / (IDLE_MS / 60_000),
    "MB a day": dayMb,
    target: `<= ${targetMb}`,
    verdict: verdict(dayMb <= targetMb),
    "CPU %": ((after.cpuMs - before.cpuMs) / IDLE_MS) * 100,
    "RSS MiB": after.rssBytes / MIB,
  };
}

function rest(ms: number, signal: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  const onAbort = () => {
    clearTimeout(timer);
    reject(signal.reason as Error);
  };
  signal.addEventListener("abort", onAbort, { once: true });
  return promise.finally(() => signal.removeEventListener("abort", onAbort));
}
