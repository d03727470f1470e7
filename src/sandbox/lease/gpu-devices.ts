/** This machine's NVIDIA GPUs as a sandbox can be given them: by index and uuid, which what is measured does not need. */

import { cleanText } from "../../core/index.ts";
import type { GpuDevice } from "../runtime/runtime.ts";

/** Runs a program; undefined where there is none, or it fails. */
export type AskTool = (program: string, args: readonly string[], signal: AbortSignal) => Promise<string | undefined>;

const ARGS = ["--query-gpu=index,uuid,memory.total,name", "--format=csv,noheader,nounits"];
const LINE = /^(\d{1,3}), (GPU-[0-9a-f-]{36}), (\d{1,9}|\[[^\]]*\]), (.{1,96})$/;
const MIB = 1024 ** 2;

export async function findGpuDevices(ask: AskTool, signal: AbortSignal): Promise<readonly GpuDevice[]> {
  return parseGpuDevices((await ask("nvidia-smi", ARGS, signal)) ?? "");
}

/** Lines that are no GPU that works are left out. */
export function parseGpuDevices(stdout: string): readonly GpuDevice[] {
  return stdout.split(/\r?\n/).flatMap((line) => {
    const [, index, uuid, memory, model] = LINE.exec(line.trim()) ?? [];
    if (index === undefined || uuid === undefined || memory === undefined || model === undefined) return [];
    // In brackets: it shares the machine's memory, or does not say.
    const memoryBytes = memory.startsWith("[") ? 0 : Number(memory) * MIB;
    return [{ vendor: "nvidia" as const, index: Number(index), uuid, model: cleanText(model, 96), memoryBytes }];
  });
}
