/** Checks again and again that the walls of sandboxes with a network hold, and freezes those behind walls that do not. */

import type { Log } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { Runtime } from "../runtime/runtime.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { isPaused } from "./lease.ts";
import type { Sandboxes } from "./sandboxes.ts";
import { tolerant } from "./tolerant.ts";
import { eachOf } from "./turns.ts";

export interface WallWatchDeps {
  readonly sandboxes: Sandboxes;
  readonly runtime: Pick<Runtime, "verify">;
  readonly log: Log;
}

const AT_ONCE = 8;

export class WallWatch {
  readonly #deps: WallWatchDeps;
  /** Checks that could not be made in a row. */
  readonly #unchecked = new Map<SandboxId, number>();

  constructor(deps: WallWatchDeps) {
    this.#deps = deps;
  }

  async look(signal: AbortSignal): Promise<void> {
    const { sandboxes, log } = this.#deps;
    const exposed = sandboxes.book.all.filter(
      (lease) => lease.state === "running" && !isPaused(lease) && lease.network !== "none",
    );
    await eachOf(exposed, AT_ONCE, (lease) =>
      tolerant({ lease, log }, async () => {
        const why = await this.#whyExposed(lease.id, signal);
        if (why !== undefined) await sandboxes.hold(lease.id, "walls", why);
      }),
    );
    for (const id of this.#unchecked.keys()) if (sandboxes.book.get(id) === undefined) this.#unchecked.delete(id);
  }

  /** Undefined while its walls hold. A check that fails once may be the engine's hiccup; twice in a row is no wall. */
  async #whyExposed(id: SandboxId, signal: AbortSignal): Promise<string | undefined> {
    try {
      const broken = await this.#deps.runtime.verify(id, signal);
      this.#unchecked.delete(id);
      return broken.length === 0 ? undefined : `its walls do not hold: ${broken.slice(0, 5).join("; ")}`;
    } catch (error) {
      if (!(error instanceof Failure) || error.code === "not-found") throw error;
      const times = (this.#unchecked.get(id) ?? 0) + 1;
      this.#unchecked.set(id, times);
      return times < 2 ? undefined : `its walls cannot be checked: ${error.message}`;
    }
  }
}
