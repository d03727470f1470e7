/** A process that simulates one network of IP tables to its end: its memory is gone with it. */

import { TableWorld, type Snapshot } from "../../test/support/table-world.ts";
import { act } from "../support/actor.ts";
import { NaiveWorld } from "../support/naive-world.ts";

export interface Scenario {
  readonly nodes: number;
  /** Share of the nodes. */
  readonly colluders: number;
  /** Of the honest nodes, the share that goes away in each round. */
  readonly churn: number;
  readonly rounds: number;
  /** Rows that a table may hold. @default the product's own limit */
  readonly rows?: number;
  /** The control: nodes that believe whatever they are sent. */
  readonly naive?: boolean;
}

export interface Outcome {
  readonly snapshot: Snapshot;
  /** The round at which honest nodes knew 99 % of the others, or of what fits into a table. */
  readonly converged?: number | undefined;
  /** Nodes cut off in the worst round. */
  readonly cutOff: number;
}

const SEED = 1;
const CONVERGED = 0.99;
/** Random ids that a node begins with, colluders among them, as a list from anywhere would be; and honest friends. */
const STARTS = 10;
const FRIENDS = 2;

const part = {
  run(scenario: Scenario): Promise<Outcome> {
    return scenario.naive === true ? runNaive(scenario) : runProduct(scenario);
  },
};

async function runProduct({ nodes, colluders, churn, rounds, rows }: Scenario): Promise<Outcome> {
  const limit = rows === undefined ? {} : { maxRows: rows };
  const world = new TableWorld({ nodes, colluders, churn, seed: SEED, starts: STARTS, friends: FRIENDS, ...limit });
  const { signal } = new AbortController();
  const most = Math.min(1, (rows ?? nodes) / nodes);
  let converged: number | undefined;
  let cutOff = 0;
  for (let round = 1; round <= rounds; round++) {
    await world.step(signal);
    cutOff = Math.max(cutOff, world.cutOff);
    if (converged === undefined && world.known >= CONVERGED * most) converged = round;
  }
  return { snapshot: world.snapshot(), converged, cutOff };
}

async function runNaive({ nodes, colluders, rounds }: Scenario): Promise<Outcome> {
  const world = new NaiveWorld({ nodes, colluders, seed: SEED, starts: STARTS });
  let cutOff = 0;
  for (let round = 1; round <= rounds; round++) {
    world.step();
    cutOff = Math.max(cutOff, world.cutOff);
  }
  return { snapshot: world.snapshot(), cutOff };
}

export type TablePart = typeof part;
act(part);
