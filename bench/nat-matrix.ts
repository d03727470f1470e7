/** Whether every two lines to the internet meet, how soon, and how soon without a third node. */

import { join } from "node:path";
import { env } from "node:process";
import { NatLab, whyNoShapedLab, whyNoUpnpLab } from "../test/lab/netns/index.ts";
import {
  acquaint,
  type Acquainted,
  bestPath,
  isDirect,
  type MatrixKind,
  matrixKinds,
  matrixTopology,
} from "../test/support/nat-matrix.ts";
import type { Connected, DaemonPart } from "./actors/daemon.ts";
import { Actor } from "./support/actor.ts";
import { type Bench, type Row, type Table, verdict } from "./support/bench.ts";
import { Home } from "./support/home.ts";
import { median, quantile } from "./support/numbers.ts";
import { keepRaw } from "./support/raw.ts";

const TRIES = 20;
/** Only these pairs, as in `public>udp-blocked nat>symmetric`. */
const PAIRS = env["BENCH_PAIRS"]?.split(/\s+/);
const CONNECT_MS = 20_000;
const FIRST_BYTES_MS = 2_500;
/** Between ordinary lines; a symmetric one has to guess ports. */
const DIRECT_MS = 10_000;
const SYMMETRIC_MS = 30_000;
const NOTE_EVERY = 36;
/** So that the other end has seen that the link of the last try is gone. */
const BETWEEN_MS = 250;

interface Pair {
  readonly from: MatrixKind;
  readonly to: MatrixKind;
}

const pairs: readonly Pair[] = matrixKinds
  .flatMap((from) => matrixKinds.map((to) => ({ from, to })))
  .filter(({ from, to }) => PAIRS?.includes(`${from}>${to}`) ?? true);

interface Try extends Pair {
  readonly round: number;
  readonly first: Connected;
  /** How long after the first bytes there was a path without a third node; absent: there was none in time. */
  readonly direct?: Connected | undefined;
}

interface World {
  readonly all: Acquainted;
  readonly nodes: ReadonlyMap<string, Actor<DaemonPart>>;
  readonly signal: AbortSignal;
}

export const natMatrix: Bench = {
  name: "nat-matrix",
  summary: `6 × 6 kinds of NAT, ${TRIES} tries of each pair (or of BENCH_PAIRS="nat>symmetric …") at 40 ms round trip and 1 % loss (half an hour)`,
  lacks: () => whyNoShapedLab() || whyNoUpnpLab(),
  async run(note, signal) {
    await using lab = await NatLab.open<string>(matrixTopology, { roundTripMs: 40, lossPercent: 1 }, signal);
    await using folder = await Home.open();
    await using actors = new AsyncDisposableStack();
    const homes = Object.fromEntries(Object.keys(lab.hosts).map((name) => [name, join(folder.path, name)]));
    const nodes = new Map<string, Actor<DaemonPart>>();
    note("starting the nodes");
    await Promise.all(
      Object.entries(lab.hosts).map(async ([name, { namespace }]) => {
        const actor = actors.use(await Actor.start<DaemonPart>("daemon.ts", { namespace }));
        await actor.call("open", { home: homes[name] ?? "", name });
        nodes.set(name, actor);
      }),
    );
    note("making them known to each other");
    await using all = await acquaint(homes, signal);
    const world = { all, nodes, signal };
    await introduce(world);
    const tries = await tryAll(world, note);
    await keepRaw(PAIRS === undefined ? "nat-matrix" : "nat-matrix-pairs", tries);
    return tablesOf(tries);
  },
};

async function introduce({ all, signal }: World): Promise<void> {
  for (const to of matrixKinds) {
    const { link } = await all.client(`b-${to}`).invite({ uses: matrixKinds.length }, signal);
    for (const from of matrixKinds) await all.client(`a-${from}`).join({ invite: link }, signal);
  }
}

/** Side by side as far as each node is in one pair at a time: those that wait for a better path hold up nobody else. */
async function tryAll(world: World, note: (words: string) => void): Promise<readonly Try[]> {
  const rounds = Array.from({ length: TRIES }, (_, i) => i + 1);
  const waiting = rounds.flatMap((round) => pairs.map((pair) => ({ round, ...pair })));
  const busy = new Set<string>();
  const running = new Set<Promise<void>>();
  const tries: Try[] = [];
  while (waiting.length > 0 || running.size > 0) {
    const next = waiting.findIndex(({ from, to }) => !busy.has(`a-${from}`) && !busy.has(`b-${to}`));
    const [pair] = next < 0 ? [] : waiting.splice(next, 1);
    if (pair === undefined) {
      await Promise.race(running);
      continue;
    }
    const ends = [`a-${pair.from}`, `b-${pair.to}`];
    for (const end of ends) busy.add(end);
    const run = async () => {
      tries.push(await oneTry(world, pair));
      for (const end of ends) busy.delete(end);
      running.delete(task);
      if (tries.length % NOTE_EVERY === 0) note(progressOf(tries));
    };
    const task = run();
    running.add(task);
  }
  return tries;
}

function progressOf(tries: readonly Try[]): string {
  const failed = tries.filter(({ first }) => first.path === "none").length;
  return `${tries.length} of ${TRIES * pairs.length} tries, ${failed} failed`;
}

async function oneTry({ all, nodes }: World, pair: Pair & Pick<Try, "round">): Promise<Try> {
  const [a, b] = [nodes.get(`a-${pair.from}`), nodes.get(`b-${pair.to}`)];
  const [idOfA, id] = [all.id(`a-${pair.from}`), all.id(`b-${pair.to}`)];
  if (a === undefined || b === undefined) throw new Error("a node is missing");
  await Promise.all([a.call("hangUp", id), b.call("hangUp", idOfA)]);
  await new Promise((resolve) => setTimeout(resolve, BETWEEN_MS));
  const first = await a.call("connect", { id, withinMs: CONNECT_MS });
  if (first.path === "none" || bestPath(pair.from, pair.to) === "any") return { ...pair, first };
  return { ...pair, first, direct: await a.call("untilDirect", { id, withinMs: directWithin(pair) }) };
}

function directWithin({ from, to }: Pair): number {
  return from === "symmetric" || to === "symmetric" ? SYMMETRIC_MS : DIRECT_MS;
}

function tablesOf(tries: readonly Try[]): readonly Table[] {
  const cells = pairs.map(({ from, to }) =>
    rowOf(
      { from, to },
      tries.filter((each) => each.from === from && each.to === to),
    ),
  );
  const firsts = tries.filter(({ first }) => first.path !== "none").map(({ first }) => first.ms);
  const all: Row = {
    tries: tries.length,
    connected: firsts.length,
    "target ": "all",
    "verdict ": verdict(firsts.length === tries.length),
    "first bytes ms": median(firsts),
    "p95 ms": quantile(firsts, 0.95),
    "worst ms": Math.max(...firsts),
    target: `median <= ${FIRST_BYTES_MS}`,
    verdict: verdict(median(firsts) <= FIRST_BYTES_MS),
  };
  return [
    {
      title: "Every pair of NATs, 40 ms round trip, 1 % loss; ms from wanting a link to the first answer",
      rows: cells,
    },
    { title: "All of them", rows: [all] },
  ];
}

function rowOf({ from, to }: Pair, tries: readonly Try[]): Row {
  const firsts = tries.filter(({ first }) => first.path !== "none");
  const wanted = bestPath(from, to);
  const direct = tries.flatMap(({ first, direct: later }) =>
    isDirect(first.path) ? [first] : later === undefined ? [] : [{ ...later, ms: first.ms + later.ms }],
  );
  const inTime = wanted === "any" || direct.length === tries.length;
  return {
    from,
    to,
    connected: `${firsts.length}/${tries.length}`,
    "first ms": median(firsts.map(({ first }) => first.ms)),
    "p95 ms": quantile(
      firsts.map(({ first }) => first.ms),
      0.95,
    ),
    first: counted(firsts.map(({ first }) => first.path)),
    direct: direct.length === 0 ? "" : `${direct.length}/${tries.length} ${counted(direct.map(({ path }) => path))}`,
    "direct ms": direct.length === 0 ? undefined : median(direct.map(({ ms }) => ms)),
    target: wanted === "any" ? "all connect" : `all direct <= ${directWithin({ from, to }) / 1000} s`,
    verdict: verdict(firsts.length === tries.length && inTime),
  };
}

function counted(words: readonly string[]): string {
  const kinds = [...new Set(words)].sort();
  return kinds
    .map((kind) => (kinds.length === 1 ? kind : `${kind} ${words.filter((w) => w === kind).length}`))
    .join(", ");
}
