/**
 * The IP table among thousands of nodes, some of which collude, in virtual time and seeded: a round is half a minute.
 *
 * The nodes run the product's own table, exchange and answers (test/support/table-world.ts). The last row of each
 * table is the control: nodes that merge what anybody sends, as the first P2PRC did.
 */

import type { Outcome, Scenario, TablePart } from "./actors/table.ts";
import { Actor } from "./support/actor.ts";
import { type Bench, type Row, verdict } from "./support/bench.ts";
import { MB } from "./support/numbers.ts";

/** One node is away for ten minutes every 100 minutes. */
const CHURN = 0.005;
const BAD_TARGET = 0.33;
/** 60 rounds of 2,000 nodes take ten minutes of a core each; of 10,000 they would take an hour. */
const ROUNDS = 60;
const ROUNDS_AT_10_000 = 12;
/** 10,000 tables of 8192 rows do not fit into one machine. What a small table costs shows in the share of colluders. */
const ROWS_AT_10_000 = 512;
/** A row has 800 bytes. */
const HEAP_MB = 12_000;

export const table: Bench = {
  name: "table",
  summary: "the IP table among 2,000 nodes, 0 and 30 % of them colluders, with and without churn",
  run: (note) => simulate(scenarios({ nodes: 2_000, rounds: ROUNDS }), note),
};

export const bigTable: Bench = {
  name: "table-10000",
  summary: "the same among 10,000 nodes",
  run: (note) => simulate(scenarios({ nodes: 10_000, rounds: ROUNDS_AT_10_000, rows: ROWS_AT_10_000 }), note),
};

function scenarios(base: Pick<Scenario, "nodes" | "rounds" | "rows">): readonly Scenario[] {
  return [
    { ...base, colluders: 0, churn: 0 },
    { ...base, colluders: 0, churn: CHURN },
    { ...base, colluders: 0.3, churn: 0 },
    { ...base, colluders: 0.3, churn: CHURN },
    { ...base, colluders: 0.3, churn: 0, naive: true },
  ];
}

async function simulate(chosen: readonly Scenario[], note: (words: string) => void) {
  const rows: Row[] = [];
  for (const scenario of chosen) {
    // It tells each row as it comes: the next may take ten minutes.
    note(JSON.stringify(scenario));
    await using world = await Actor.start<TablePart>("table.ts", { heapMb: HEAP_MB });
    const row = toRow(scenario, await world.call("run", scenario));
    note(JSON.stringify(row));
    rows.push(row);
  }
  const { nodes, rounds } = chosen[0] ?? { nodes: 0, rounds: 0 };
  return [{ title: `The IP table of ${nodes} nodes after ${rounds} rounds of 30 s; shares of rows in percent`, rows }];
}

function toRow({ naive, colluders, churn, rows }: Scenario, { snapshot, converged, cutOff }: Outcome): Row {
  const { bad, badVerified, bytes, known, stale } = snapshot;
  const percent = (share: number) => share * 100;
  const judged = naive !== true && colluders > 0;
  return {
    nodes: naive === true ? "naive" : "product",
    "colluders %": percent(colluders),
    "churn %": percent(churn),
    "most rows": naive === true ? undefined : (rows ?? 8192),
    "99 % known at": converged,
    "known %": percent(known),
    "MB each": bytes / MB,
    "bad %": percent(bad.median),
    "bad % p99": percent(bad.p99),
    "bad verified %": naive === true ? undefined : percent(badVerified.median),
    "stale %": percent(stale),
    "cut off": cutOff,
    target: judged ? "<= 33 bad, 0 cut off" : "",
    verdict: judged ? verdict(bad.median <= BAD_TARGET && cutOff === 0) : "",
  };
}
