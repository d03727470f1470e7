/** Which of this machine's GPUs a guest gets: whole ones, held by one lease at a time. */

import { cleanText, Failure, formatSize } from "../../core/index.ts";
import type { GpuWish } from "../contract.ts";
import type { GpuDevice } from "../runtime/runtime.ts";

export interface GpuHouse {
  readonly all: readonly GpuDevice[];
  /** By uuid. */
  readonly held: ReadonlySet<string>;
}

/** The smallest that fit, so that the large ones stay for whoever needs them. @throws {Failure} not-supported, busy */
export function chooseGpus(wish: GpuWish | undefined, { all, held }: GpuHouse): readonly GpuDevice[] {
  if (wish === undefined) return [];
  if (all.length === 0)
    throw new Failure("not-supported", "this node has no GPU", { hint: "`p2prc ls` shows which nodes have one" });
  const { count, memoryBytes = 0, model } = wish;
  const fitting = all.filter((gpu) => gpu.memoryBytes >= memoryBytes && isModel(gpu, model));
  if (fitting.length < count) {
    const has = all.map((gpu) => `${cleanText(gpu.model, 48)} (${formatSize(gpu.memoryBytes)})`).join(", ");
    throw new Failure("not-supported", `${wanted(wish)} wanted, this node has ${has}`, {
      hint: "ask for what it has, or choose another node",
    });
  }
  const free = fitting.filter(({ uuid }) => !held.has(uuid)).sort((a, b) => a.memoryBytes - b.memoryBytes);
  if (free.length < count)
    throw new Failure("busy", `${wanted(wish)} wanted, ${free.length} of ${fitting.length} such are free`, {
      hint: "try again when a sandbox that holds one has ended",
    });
  return free.slice(0, count);
}

function isModel({ model }: GpuDevice, part: string | undefined): boolean {
  return part === undefined || model.toLowerCase().includes(part.trim().toLowerCase());
}

function wanted({ count, memoryBytes, model }: GpuWish): string {
  const kind = model === undefined ? "" : ` "${cleanText(model, 48)}"`;
  const size = memoryBytes === undefined ? "" : ` of at least ${formatSize(memoryBytes)}`;
  return `${count} GPU${count === 1 ? "" : "s"}${kind}${size}`;
}
