/** What a sandbox uses, in the engine's own numbers: its network is counted where it is, at the companion. */

import type { SandboxStats } from "../runtime.ts";
import type { SandboxId } from "../sandbox-id.ts";
import type { DiskWatch } from "./disk-watch.ts";
import { type Engine, unless } from "./engine.ts";
import { companionName } from "./words.ts";

export interface StatsDeps {
  readonly engine: Engine;
  readonly disk: Pick<DiskWatch, "bytes">;
}

interface EngineStats {
  readonly cpu_stats?: { readonly cpu_usage?: { readonly total_usage?: number } };
  readonly memory_stats?: { readonly usage?: number; readonly stats?: Readonly<Record<string, number>> };
  readonly pids_stats?: { readonly current?: number };
  readonly networks?: Readonly<Record<string, { readonly rx_bytes: number; readonly tx_bytes: number }>>;
}

const NOTHING: EngineStats = {};
const NANOSECONDS_PER_MS = 1e6;

/** @throws {EngineError} */
export async function readStats(
  { engine, disk }: StatsDeps,
  { id, container }: { readonly id: SandboxId; readonly container: string },
  signal: AbortSignal,
): Promise<SandboxStats> {
  const [own, companion] = await Promise.all([
    ask(engine, container, signal),
    unless(404, NOTHING, ask(engine, companionName(id), signal)),
  ]);
  const networks = Object.values(companion.networks ?? {});
  return {
    cpuMs: (own.cpu_stats?.cpu_usage?.total_usage ?? 0) / NANOSECONDS_PER_MS,
    memoryBytes: memoryOf(own),
    diskBytes: disk.bytes(id) ?? 0,
    pids: own.pids_stats?.current ?? 0,
    receivedBytes: networks.reduce((sum, { rx_bytes }) => sum + rx_bytes, 0),
    sentBytes: networks.reduce((sum, { tx_bytes }) => sum + tx_bytes, 0),
  };
}

/** One look, where the engine would else take two, a second apart. */
function ask(engine: Engine, container: string, signal: AbortSignal): Promise<EngineStats> {
  const query = { stream: false, "one-shot": true };
  return engine.ask<EngineStats>({ method: "GET", path: `/containers/${container}/stats`, query }, signal);
}

/** Without the cache of files that can be dropped at once, as `docker stats` counts it. */
function memoryOf({ memory_stats }: EngineStats): number {
  const { usage = 0, stats = {} } = memory_stats ?? {};
  const cache = stats["total_inactive_file"] ?? stats["inactive_file"] ?? 0;
  return Math.max(0, usage - cache);
}
