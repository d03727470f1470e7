/**
 * Compares what is written with what is there, and brings them together: what was cut short is finished, what is gone or has
 * stopped is called so, what no lease speaks of is removed.
 */

import type { Log } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import type { FoundSandbox, Runtime } from "../runtime/runtime.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { Insides } from "./insides.ts";
import { isPaused, type Lease } from "./lease.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { tolerant } from "./tolerant.ts";
import { eachOf } from "./turns.ts";

export interface ReconcilerDeps {
  readonly id: NodeId;
  readonly sandboxes: Sandboxes;
  readonly insides: Insides;
  readonly runtime: Pick<Runtime, "list" | "remove">;
  /** Whether there can be a sandbox at all: a node that never made one does not look for a runtime. */
  readonly needed: () => boolean;
  /** Resolves when it is known what the runtime can do. */
  readonly ready: () => Promise<void>;
  readonly log: Log;
}

const AT_ONCE = 16;

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  #problem: string | undefined;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** Why the runtime could not be asked the last time. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Compares what is written with what is there. */
  async reconcile(signal: AbortSignal): Promise<void> {
    const { sandboxes, runtime, needed, ready } = this.#deps;
    const { book } = sandboxes;
    if (book.size === 0 && !needed()) return;
    await ready();
    const quiet = new Map(book.all.filter(({ id }) => !sandboxes.isBusy(id)).map((lease) => [lease.id, lease]));
    const found = await this.#list(() => runtime.list(signal));
    if (found === undefined) return;
    const there = new Map(found.map((one) => [one.id, one]));
    // What changed while the runtime was asked is looked at the next time.
    const same = [...quiet.values()].filter(({ id, state, holds }) => {
      const now = book.get(id);
      return now?.state === state && now.holds === holds && !sandboxes.isBusy(id);
    });
    await eachOf(same, AT_ONCE, (lease) => this.#mend(lease, there.get(lease.id), signal));
    await this.#removeOrphans(found, signal);
    book.keepUp();
  }

  async #list(ask: () => Promise<readonly FoundSandbox[]>): Promise<readonly FoundSandbox[] | undefined> {
    try {
      const found = await ask();
      if (this.#problem !== undefined) this.#deps.log.info("the runtime answers again");
      this.#problem = undefined;
      return found;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (this.#problem === undefined) this.#deps.log.warn("the runtime does not answer", { why: error.message });
      this.#problem = error.message;
      return undefined; // an engine that is stopped has not lost its sandboxes
    }
  }

  async #mend(lease: Lease, found: FoundSandbox | undefined, signal: AbortSignal): Promise<void> {
    const { sandboxes, log } = this.#deps;
    switch (lease.state) {
      case "making":
        await tolerant({ lease, log }, () => sandboxes.remove(lease.id, "the daemon ended while it was made", signal));
        return;
      case "removing":
        return; // the keeper tries again
      case "running":
      case "stopped":
        await tolerant({ lease, log }, () => sandboxes.inTurn(lease.id, () => this.#agree(lease.id, found)));
    }
  }

  /** Brings a lease and what was found together. In a turn. */
  async #agree(id: SandboxId, found: FoundSandbox | undefined): Promise<void> {
    const { sandboxes } = this.#deps;
    const lease = sandboxes.book.get(id);
    if (lease === undefined || lease.state === "removing") return;
    if (found !== undefined && found.state !== "stopped") {
      this.#alive(lease, found);
      await sandboxes.settle(id);
    } else if (lease.state !== "stopped") {
      this.#stopped(lease, found?.reason ?? (found === undefined ? "the runtime has lost it" : "it ended by itself"));
    }
  }

  #alive(lease: Lease, found: FoundSandbox): void {
    const { sandboxes, log } = this.#deps;
    const { id, guest, unsettled } = lease;
    if (lease.state === "stopped") sandboxes.book.change(id, { state: "running", reason: null });
    const frozen = found.state === "paused";
    if (frozen && !isPaused(lease) && !unsettled) {
      // The runtime freezes what is over its disk quota; a person may have done it by hand.
      const why = found.reason ?? "frozen from outside";
      sandboxes.book.change(id, { holds: [{ kind: "quota", why }] });
      log.warn("sandbox frozen", { sandbox: id, guest, kind: "quota", why });
    } else if (isPaused(lease) !== frozen) sandboxes.book.change(id, { unsettled: true });
  }

  #stopped(lease: Lease, reason: string): void {
    const { sandboxes, insides, log } = this.#deps;
    sandboxes.book.change(lease.id, { state: "stopped", holds: [], unsettled: false, reason });
    insides.close(lease.id);
    log.warn("sandbox stopped", { sandbox: lease.id, guest: lease.guest, why: reason });
  }

  async #removeOrphans(found: readonly FoundSandbox[], signal: AbortSignal): Promise<void> {
    const { id: node, sandboxes, runtime, log } = this.#deps;
    // Another home on the same engine has sandboxes of its own.
    const orphans = found.filter(
      ({ id, labels }) => labels["p2prc.node"] === node && sandboxes.book.get(id) === undefined,
    );
    await eachOf(orphans, AT_ONCE, async ({ id, labels }) => {
      if (sandboxes.isBusy(id)) return;
      log.warn("a sandbox that nobody holds is removed", { sandbox: id, guest: labels["p2prc.guest"] });
      try {
        await runtime.remove(id, signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        log.warn("a sandbox could not be removed", { sandbox: id, why: error.message });
      }
    });
  }
}
