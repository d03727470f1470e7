/** What sandboxes use, looked at now and then while they run, and once more before they go. */

import { type Clock, type Log, within } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { Runtime, SandboxStats } from "../runtime/runtime.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { Lease, Used } from "./lease.ts";
import type { LeaseBook } from "./lease-book.ts";
import { eachOf } from "./turns.ts";

export interface SamplerDeps {
  readonly book: LeaseBook;
  readonly runtime: Pick<Runtime, "stats">;
  /** Through the links of this node, since the last sample. */
  readonly takeLinkBytes: (id: SandboxId) => number;
  readonly clock: Clock;
  readonly log: Log;
}

interface Sample {
  readonly at: number;
  readonly stats: SandboxStats;
}

/** Engines answer slowly when many ask. */
const AT_ONCE = 8;
/** A machine that slept did not use its memory all the while. */
const MAX_GAP_MS = 60_000;
/** Nobody waits longer for a sandbox to go because it does not say what it used. */
const LAST_MS = 1_000;

export class Sampler {
  readonly #deps: SamplerDeps;
  readonly #samples = new Map<SandboxId, Sample>();

  constructor(deps: SamplerDeps) {
    this.#deps = deps;
  }

  latest(id: SandboxId): SandboxStats | undefined {
    return this.#samples.get(id)?.stats;
  }

  /** Looks at all that run, and writes what they used. */
  async sample(signal: AbortSignal): Promise<void> {
    const { book } = this.#deps;
    const used = new Map<SandboxId, Used>();
    const running = book.all.filter(({ state }) => state === "running");
    await eachOf(running, AT_ONCE, async (lease) => {
      const now = await this.#look(lease, signal);
      if (now !== undefined) used.set(lease.id, now);
    });
    book.keepUp(({ id }) => {
      const now = used.get(id);
      return now === undefined ? {} : { used: now };
    });
    for (const id of this.#samples.keys()) if (book.get(id) === undefined) this.#samples.delete(id);
  }

  /** For one that is about to go. */
  async last(lease: Lease, signal: AbortSignal): Promise<void> {
    const { clock, book } = this.#deps;
    const late = () => new Failure("timed-out", "it does not say what it used");
    const used = await within({ clock, timeoutMs: LAST_MS, late }, (s) => this.#look(lease, s), signal).catch(
      () => undefined, // what it used since the last sample is not known
    );
    if (used !== undefined) book.change(lease.id, { used });
  }

  async #look({ id, used }: Lease, signal: AbortSignal): Promise<Used | undefined> {
    const { runtime, clock, takeLinkBytes, log } = this.#deps;
    try {
      const stats = await runtime.stats(id, signal);
      const before = this.#samples.get(id);
      const at = clock.now();
      const seconds = before === undefined ? 0 : Math.min(at - before.at, MAX_GAP_MS) / 1_000;
      this.#samples.set(id, { at, stats });
      return {
        cpuMs: Math.max(used.cpuMs, stats.cpuMs),
        memoryByteSeconds: used.memoryByteSeconds + stats.memoryBytes * seconds,
        receivedBytes: Math.max(used.receivedBytes, stats.receivedBytes),
        sentBytes: Math.max(used.sentBytes, stats.sentBytes),
        linkBytes: used.linkBytes + takeLinkBytes(id),
        diskBytes: stats.diskBytes,
      };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.debug("a sandbox does not say what it uses", { sandbox: id, why: error.message });
      return undefined;
    }
  }
}
