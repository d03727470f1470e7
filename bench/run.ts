/**
 * `node bench/run.ts [--json] [name …]` measures and prints tables; without names, everything.
 *
 * Nothing here is a test: numbers depend on the machine, so each table says what it ran on, and what is
 * compared is measured in turns in the same run.
 */

import { parseArgs } from "node:util";
import type { Bench } from "./support/bench.ts";
import { formatTable } from "./support/format-table.ts";
import { formatMachine, thisMachine } from "./support/machine.ts";
import { idle, ls } from "./cli.ts";
import { copy, sshTrue } from "./copy.ts";
import { forward, punched, stoppedReaders, tunnel } from "./tunnel.ts";
import { bigTable, table } from "./table-simulation.ts";
import { natIdle } from "./nat-idle.ts";
import { natMatrix } from "./nat-matrix.ts";
import { natRelay } from "./nat-relay.ts";
import { cycles, cyclesDocker, parallel, parallelDocker } from "./many-sandboxes.ts";
import { map } from "./map.ts";
import { plugins } from "./plugins.ts";
import { touch, touchDocker } from "./touch.ts";
import { walk } from "./walk.ts";

const benches: readonly Bench[] = [
  ...[tunnel, punched, forward, stoppedReaders, walk, ls, idle],
  ...[touch, touchDocker, copy, sshTrue, parallel, parallelDocker, cycles, cyclesDocker, map, plugins],
  ...[natMatrix, natRelay, natIdle],
  ...[table, bigTable],
];

const { values, positionals } = parseArgs({
  options: { json: { type: "boolean", default: false }, help: { type: "boolean", short: "h", default: false } },
  allowPositionals: true,
});
const unknown = positionals.filter((name) => !benches.some((bench) => bench.name === name));

if (values.help || unknown.length > 0) {
  for (const name of unknown) console.error(`there is no bench called "${name}"`);
  console.error("node bench/run.ts [--json] [name ...]");
  for (const { name, summary } of benches) console.error(`  ${name.padEnd(16)} ${summary}`);
  process.exitCode = unknown.length > 0 ? 2 : 0;
} else {
  await runAll(benches.filter(({ name }) => positionals.length === 0 || positionals.includes(name)));
}

async function runAll(chosen: readonly Bench[]): Promise<void> {
  const machine = thisMachine();
  const ending = new AbortController();
  process.once("SIGINT", () => ending.abort());
  if (!values.json) console.log(formatMachine(machine));
  for (const bench of chosen) {
    const why = bench.lacks?.() ?? false;
    if (why !== false) {
      console.error(`SKIPPED ${bench.name}: ${why}`);
      continue;
    }
    const tables = await bench.run((words) => console.error(`${bench.name}: ${words}`), ending.signal);
    for (const table of tables) {
      if (values.json)
        for (const row of table.rows) console.log(JSON.stringify({ bench: bench.name, ...row, machine }));
      else console.log(`\n${formatTable(table)}`);
    }
  }
}
