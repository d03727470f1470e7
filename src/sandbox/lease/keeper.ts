/**
 * What goes on while there are sandboxes: leases end on time, guests who lost their grant go, removals that failed are tried
 * again; and now and then journal and runtime are compared, use is sampled, walls are checked.
 */

import { type Clock, type Log, Scope } from "../../base/index.ts";
import type { Grant, NodeId } from "../../core/index.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { type Lease, SOON_MS } from "./lease.ts";
import type { Reconciler } from "./reconciler.ts";
import type { Sampler } from "./sampler.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { tolerant } from "./tolerant.ts";
import type { WallWatch } from "./wall-watch.ts";

export interface KeeperDeps {
  readonly sandboxes: Sandboxes;
  readonly reconciler: Reconciler;
  readonly wallWatch: WallWatch;
  readonly sampler: Sampler;
  readonly runtime: Pick<Runtime, "frozen">;
  readonly grantOf: (id: NodeId) => Grant | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** The calendar may jump, so ends are looked for and not waited for. */
const LOOK_EVERY_MS = 1_000;
const RECONCILE_EVERY_MS = 30_000;
const SAMPLE_EVERY_MS = 10_000;
const VERIFY_EVERY_MS = 10_000;
/** A removal that failed is tried again. */
const RETRY_MS = 5_000;
/** When people are told that a lease ends. */
const WARNINGS_MS = [SOON_MS, 60_000];

export class Keeper {
  readonly #deps: KeeperDeps;
  /** When a removal was last begun. */
  readonly #removals = new Map<SandboxId, number>();
  readonly #warned = new Map<SandboxId, number>();

  constructor(deps: KeeperDeps) {
    this.#deps = deps;
  }

  async run(signal: AbortSignal): Promise<void> {
    await using scope = new Scope(signal);
    this.#look(scope);
    const { reconciler, wallWatch, sampler } = this.#deps;
    const every = (ms: number, work: (signal: AbortSignal) => Promise<void>) =>
      scope.spawn(async (ending) => {
        for (;;) {
          await this.#deps.clock.sleep(ms, ending);
          await work(ending);
        }
      });
    every(LOOK_EVERY_MS, async () => this.#look(scope));
    await reconciler.reconcile(scope.signal);
    scope.spawn((ending) => this.#reconcile(ending));
    every(SAMPLE_EVERY_MS, (ending) => sampler.sample(ending));
    every(VERIFY_EVERY_MS, (ending) => wallWatch.look(ending));
    await new Promise((resolve) => scope.signal.addEventListener("abort", resolve, { once: true }));
  }

  /** Now and then, and as soon as the runtime has frozen something: its guest wants to know why nothing answers. */
  async #reconcile(signal: AbortSignal): Promise<void> {
    const { reconciler, runtime, clock } = this.#deps;
    let frozen = Promise.withResolvers<void>();
    using _subscription = runtime.frozen?.on(() => frozen.resolve());
    for (;;) {
      await using resting = new Scope(signal);
      await Promise.race([clock.sleep(RECONCILE_EVERY_MS, resting.signal), frozen.promise]);
      frozen = Promise.withResolvers();
      await reconciler.reconcile(signal);
    }
  }

  /** Who has to go, goes. */
  #look(scope: Scope): void {
    const { sandboxes, grantOf, log } = this.#deps;
    const { book } = sandboxes;
    for (const lease of book.all) {
      const leftMs = book.leftMs(lease);
      const why = whyOver(lease, { leftMs, granted: grantOf(lease.guest) !== undefined });
      if (why !== undefined) scope.spawn((signal) => this.#remove(lease, why, signal));
      else {
        const warned = this.#warned.get(lease.id) ?? Number.POSITIVE_INFINITY;
        const due = WARNINGS_MS.find((ms) => leftMs <= ms && ms < warned);
        if (due !== undefined) log.warn("a lease ends soon", { sandbox: lease.id, guest: lease.guest, leftMs });
        // Prolonged ones are warned of again.
        this.#warned.set(lease.id, Math.min(...WARNINGS_MS.filter((ms) => leftMs <= ms), Number.POSITIVE_INFINITY));
      }
    }
    for (const known of [this.#warned, this.#removals])
      for (const id of known.keys()) if (book.get(id) === undefined) known.delete(id);
  }

  /** Tries at most every so often. */
  async #remove(lease: Lease, why: string, signal: AbortSignal): Promise<void> {
    const { sandboxes, clock, log } = this.#deps;
    const before = this.#removals.get(lease.id) ?? Number.NEGATIVE_INFINITY;
    if (clock.now() - before < RETRY_MS) return;
    this.#removals.set(lease.id, clock.now());
    await tolerant({ lease, log }, () => sandboxes.remove(lease.id, why, signal));
  }
}

function whyOver(
  { state, reason }: Lease,
  { leftMs, granted }: { readonly leftMs: number; readonly granted: boolean },
): string | undefined {
  if (state === "removing") return reason ?? "removed";
  if (leftMs <= 0) return "its time is over";
  return granted ? undefined : "the grant has ended";
}
