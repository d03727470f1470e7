/**
 * NVIDIA's GPUs, as `nvidia-smi` names them.
 *
 * One line a GPU: `NVIDIA GeForce RTX 4090, 24564`. Values that the GPU does not have come in brackets:
 * `[N/A]` where it shares the machine's memory (GB10, GH200, Jetson), `[Unknown Error]` and `[GPU is lost]` where
 * it is broken. What goes wrong as a whole is told on stdout, and not always with an exit code.
 */

import type { RunTool } from "./tool.ts";

/** What a vendor's tool told. `memoryBytes` is undefined where the GPU uses the machine's own memory. */
export interface Gpus {
  readonly gpus: readonly FoundGpu[];
  readonly problems: readonly string[];
}

export interface FoundGpu {
  readonly vendor: "nvidia" | "amd" | "other";
  readonly model: string;
  readonly memoryBytes: number | undefined;
}

const MIB = 1_048_576;
const NONE = /^no devices were found/i;
const ARGS = ["--query-gpu=name,memory.total", "--format=csv,noheader,nounits"];

export async function findNvidia(run: RunTool, signal: AbortSignal): Promise<Gpus> {
  const outcome = await run("nvidia-smi", ARGS, signal);
  if (outcome.kind === "missing") return { gpus: [], problems: [] };
  if (outcome.kind === "cut-off") return { gpus: [], problems: [`nvidia-smi: ${outcome.why}`] };
  const found = parseNvidia(outcome.stdout);
  if (outcome.exit === 0 || found.gpus.length > 0 || found.problems.length > 0) return found;
  const words = firstLine(outcome.stderr) ?? firstLine(outcome.stdout) ?? `exit code ${outcome.exit}`;
  return { gpus: [], problems: NONE.test(words) ? [] : [`nvidia-smi: ${words}`] };
}

/** What `nvidia-smi` wrote to stdout. */
export function parseNvidia(stdout: string): Gpus {
  const gpus: FoundGpu[] = [];
  const problems: string[] = [];
  for (const line of stdout.split(/\r?\n/).map((text) => text.trim())) {
    if (line === "" || NONE.test(line)) continue;
    const row = /^(?<model>.+),\s*(?<memory>\d+|\[[^\]]*\])$/.exec(line)?.groups;
    const { model, memory } = row ?? {};
    if (model === undefined || memory === undefined || model.startsWith("[") || isBroken(memory))
      problems.push(`nvidia-smi: ${line}`);
    else gpus.push({ vendor: "nvidia", model, memoryBytes: memory.startsWith("[") ? undefined : Number(memory) * MIB });
  }
  return { gpus, problems: problems.slice(0, 1) };
}

/** Brackets that mean "has none of its own": the others mean a fault. */
function isBroken(memory: string): boolean {
  return memory.startsWith("[") && !/^\[(n\/a|not supported)\]$/i.test(memory);
}

export function firstLine(text: string): string | undefined {
  return text
    .split("\n")
    .map((line) => line.trim())
    .find((line) => line !== "");
}
