/**
 * The IP table among thousands of nodes, a third of which collude: `node bench/table-simulation.ts`.
 *
 * Virtual time, seeded, one round is half a minute; the nodes run the product's own table, exchange and answers
 * (test/support/table-world.ts). The last rows of each size are the control: a table that merges what anybody
 * sends, as the first P2PRC did. `--nodes 500` is a quick run; every other option says what to vary.
 */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { systemClock } from "../src/base/index.ts";
import { type Snapshot, TableWorld } from "../test/support/table-world.ts";
import { NaiveWorld } from "./support/naive-world.ts";

interface Scenario {
  readonly nodes: number;
  readonly colluders: number;
  readonly churn: number;
  readonly rounds: number;
  readonly seed: number;
  /** Rows a node may hold; the product's own limit where it is absent. */
  readonly rows?: number;
  readonly naive: boolean;
}

/** Of the honest nodes, in each round: one is away for ten minutes every 100 minutes. */
const CHURN = 0.005;
/** 10,000 tables of 8192 rows do not fit into one machine. What a small table costs shows in the share of colluders. */
const ROWS_AT_10_000 = 512;
/** With a row of 800 bytes and 5 million rows. */
const HEAP_MB = 12_000;
const CONVERGED = 0.99;
const STARTS = 10;
const FRIENDS = 2;
const HEADS = [
  "nodes",
  "bad",
  "churn",
  "table",
  "99 % at",
  "MB each",
  "bad share",
  "p99",
  "verified",
  "p99",
  "cut off",
  "stale",
  "took",
];
const WIDTHS = [6, 5, 6, 8, 8, 8, 10, 7, 9, 7, 8, 7, 7];

const { values } = parseArgs({
  options: {
    nodes: { type: "string" },
    rounds: { type: "string", default: "60" },
    seed: { type: "string", default: "1" },
    rows: { type: "string" },
    /** Set by this program for its children. */
    scenario: { type: "string" },
  },
});

if (values.scenario === undefined) await runAll();
else await runOne(JSON.parse(values.scenario) as Scenario);

/** Each in a process of its own, so that none inherits the memory of the last. */
async function runAll(): Promise<void> {
  const sizes = values.nodes === undefined ? [2_000, 10_000] : [Number(values.nodes)];
  print(
    `seed ${values.seed}, ${values.rounds} rounds of 30 s, ${STARTS} random starts (colluders among them), ${FRIENDS} honest friends`,
  );
  print(row(HEADS));
  for (const scenario of sizes.flatMap(scenariosOf)) {
    const script = [fileURLToPath(import.meta.url), "--scenario", JSON.stringify(scenario)];
    const child = spawn(process.execPath, [`--max-old-space-size=${HEAP_MB}`, ...script], { stdio: "inherit" });
    await once(child, "exit");
    if (child.exitCode !== 0) process.exitCode = 1;
  }
}

function scenariosOf(nodes: number): Scenario[] {
  const rows = values.rows === undefined ? (nodes >= 10_000 ? ROWS_AT_10_000 : undefined) : Number(values.rows);
  const base = {
    nodes,
    rounds: Number(values.rounds),
    seed: Number(values.seed),
    naive: false,
    ...(rows === undefined ? {} : { rows }),
  };
  return [
    { ...base, colluders: 0, churn: 0 },
    { ...base, colluders: 0.3, churn: 0 },
    { ...base, colluders: 0, churn: CHURN },
    { ...base, colluders: 0.3, churn: CHURN },
    { ...base, colluders: 0.3, churn: 0, naive: true },
  ];
}

async function runOne(scenario: Scenario): Promise<void> {
  const startedAt = systemClock.now();
  const { snapshot, converged, worst } = scenario.naive ? runNaive(scenario) : await runProduct(scenario);
  const { bad, badVerified } = snapshot;
  print(
    row([
      String(scenario.nodes),
      percent(scenario.colluders, 0),
      percent(scenario.churn, 1),
      scenario.naive ? "naive" : String(scenario.rows ?? 8192),
      converged === undefined ? "-" : `${converged}`,
      (snapshot.bytes / 1e6).toFixed(1),
      percent(bad.median, 1),
      percent(bad.p99, 1),
      scenario.naive ? "-" : percent(badVerified.median, 1),
      scenario.naive ? "-" : percent(badVerified.p99, 1),
      String(worst),
      percent(snapshot.stale, 1),
      `${((systemClock.now() - startedAt) / 1000).toFixed(0)} s`,
    ]),
  );
}

interface Run {
  readonly snapshot: Snapshot;
  /** The round at which honest nodes knew 99 % of the others, or of what fits into a table. */
  readonly converged: number | undefined;
  /** Nodes cut off in the worst round. */
  readonly worst: number;
}

async function runProduct({ nodes, colluders, churn, rounds, seed, rows }: Scenario): Promise<Run> {
  const limit = rows === undefined ? {} : { maxRows: rows };
  const world = new TableWorld({ nodes, colluders, churn, seed, starts: STARTS, friends: FRIENDS, ...limit });
  const { signal } = new AbortController();
  const most = Math.min(1, (rows ?? nodes) / nodes);
  let converged: number | undefined;
  let worst = 0;
  for (let round = 1; round <= rounds; round++) {
    await world.step(signal);
    worst = Math.max(worst, world.cutOff);
    if (converged === undefined && world.known >= CONVERGED * most) converged = round;
  }
  return { snapshot: world.snapshot(), converged, worst };
}

function runNaive({ nodes, colluders, rounds, seed }: Scenario): Run {
  const world = new NaiveWorld({ nodes, colluders, seed, starts: STARTS });
  let worst = 0;
  for (let round = 1; round <= rounds; round++) {
    world.step();
    worst = Math.max(worst, world.cutOff);
  }
  return { snapshot: world.snapshot(), converged: undefined, worst };
}

function row(cells: readonly string[]): string {
  return cells.map((cell, i) => cell.padStart(WIDTHS[i] ?? 8)).join("");
}

function percent(share: number, digits: number): string {
  return `${(share * 100).toFixed(digits)} %`;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
