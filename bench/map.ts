/** Many tasks over two sandboxes: what a task of nothing costs, and how much of the time of slots is used, beside GNU parallel over ssh. */

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { bubblewrapSkip } from "../test/support/bubblewrap-world.ts";
import { type Bench, type Row, verdict } from "./support/bench.ts";
import { median } from "./support/numbers.ts";
import { LAUNCHER, SandboxPair } from "./support/sandbox-pair.ts";

const NOTHINGS = 2_000;
const SECONDS = 120;
const ROUNDS = 3;
const TARGET = { rate: 200, efficiency: 0.97 };
const BOXES = ["box1", "box2"];
const CIRCUMSTANCES = "two bubblewrap sandboxes of one core each, one slot in each";

export const map: Bench = {
  name: "map",
  summary: "p2prc map: tasks of nothing a second, efficiency on tasks of 1 s, beside GNU parallel over ssh",
  lacks: bubblewrapSkip,
  async run(note) {
    await using pair = await SandboxPair.open({ runtime: "bubblewrap" });
    for (const name of BOXES) await pair.touch({ name, network: "none", lifetimeMs: 8 * 3_600_000 });
    const programs: Record<string, readonly string[]> = { "p2prc map": mapWords(pair) };
    if (hasParallel()) programs["GNU parallel"] = parallelWords(pair);
    else note("GNU parallel is not installed: it is not compared");
    const rows: Row[] = [];
    for (const [name, words] of Object.entries(programs)) {
      note(`${name}: ${NOTHINGS} tasks of nothing`);
      rows.push(await nothings(name, words));
    }
    for (const [name, words] of Object.entries(programs)) {
      note(`${name}: ${SECONDS} tasks of 1 s`);
      rows.push(await seconds(name, words));
    }
    for (const name of BOXES) await pair.remove(name);
    return [{ title: `Tasks over ${CIRCUMSTANCES}; whole processes, start and end included`, rows }];
  },
};

async function nothings(name: string, words: readonly string[]): Promise<Row> {
  const all: number[] = [];
  const count = name === "p2prc map" ? NOTHINGS : NOTHINGS / 10; // an ssh each takes its time
  for (let round = 0; round < ROUNDS; round++) all.push(await msOf(words, ["true"], count));
  const rate = count / (median(all) / 1_000);
  const row = { what: `${count} × true`, by: name, s: median(all) / 1_000, "tasks/s": rate };
  return name === "p2prc map" ? { ...row, target: `>= ${TARGET.rate}/s`, verdict: verdict(rate >= TARGET.rate) } : row;
}

async function seconds(name: string, words: readonly string[]): Promise<Row> {
  const ms = await msOf(words, ["sleep", "1"], SECONDS);
  const efficiency = (SECONDS / BOXES.length) * (1_000 / ms);
  const row = { what: `${SECONDS} × sleep 1`, by: name, s: ms / 1_000, efficiency };
  if (name !== "p2prc map") return row;
  return { ...row, target: `>= ${TARGET.efficiency}`, verdict: verdict(efficiency >= TARGET.efficiency) };
}

function mapWords(pair: SandboxPair): readonly string[] {
  return [LAUNCHER, "--home", pair.guestHome, "map", "--on", BOXES.join(","), "--slots", "1", "--args", "-", "--"];
}

/** `-N0`: a line is a task, and no word of it. */
function parallelWords(pair: SandboxPair): readonly string[] {
  const hosts = BOXES.map((box) => `1/ssh -F ${join(pair.guestHome, "ssh_config")} ${box}.p2prc`);
  return ["parallel", "--will-cite", "-N0", "--argfile", "-", ...hosts.flatMap((host) => ["-S", host])];
}

/** One task for each line of its input. */
async function msOf([file = "", ...words]: readonly string[], task: readonly string[], count: number): Promise<number> {
  const begun = performance.now();
  const child = spawn(file, [...words, ...task], { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(Array.from({ length: count }, (_, at) => `${at}\n`).join(""));
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${file} ended with ${code}`);
  return performance.now() - begun;
}

function hasParallel(): boolean {
  try {
    execFileSync("parallel", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
