/**
 * Looks every 2 s how much each sandbox has written, and freezes those that are over what they were given.
 *
 * For engines whose file system has no quota. A look costs the engine a walk over each writable layer, so it rests at least
 * ten times as long as the last look took: a sandbox full of small files must not keep a disk busy.
 */

import { type Clock, isAbort, type Log } from "../../../base/index.ts";
import { isSandboxId, type SandboxId } from "../sandbox-id.ts";
import type { Containers, ListedContainer } from "./containers.ts";
import { type Asked, labels } from "./words.ts";

export const DISK_REASON = "disk quota";
const REST_MS = 2_000;
const REST_PER_LOOK = 10;

export interface DiskWatchDeps {
  readonly containers: Pick<Containers, "list">;
  readonly clock: Clock;
  readonly log: Log;
}

export type Freeze = (id: SandboxId, signal: AbortSignal) => Promise<void>;

export class DiskWatch {
  readonly #deps: DiskWatchDeps;
  readonly #bytes = new Map<SandboxId, number>();
  readonly #over = new Set<SandboxId>();

  constructor(deps: DiskWatchDeps) {
    this.#deps = deps;
  }

  /** When it was last looked at. */
  bytes(id: SandboxId): number | undefined {
    return this.#bytes.get(id);
  }

  /** Why a frozen sandbox is frozen, where this is why. */
  reason(id: SandboxId): string | undefined {
    return this.#over.has(id) ? DISK_REASON : undefined;
  }

  /** @param freeze undefined where the engine has a quota: sizes are for people only */
  async run(freeze: Freeze | undefined, signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps;
    while (!signal.aborted) {
      const start = clock.now();
      await this.look(freeze, signal);
      if (signal.aborted) return;
      await clock.sleep(Math.max(REST_MS, (clock.now() - start) * REST_PER_LOOK), signal);
    }
  }

  async look(freeze: Freeze | undefined, signal: AbortSignal): Promise<void> {
    const { containers, log } = this.#deps;
    try {
      const listed = await containers.list({ role: "sandbox", sizes: true }, signal);
      this.#forgetOthers(listed);
      for (const container of listed) await this.#check(container, freeze, signal);
    } catch (error) {
      if (isAbort(error, signal)) return;
      log.warn("cannot see how much sandboxes have written", { error: (error as Error).message });
    }
  }

  async #check(container: ListedContainer, freeze: Freeze | undefined, signal: AbortSignal): Promise<void> {
    const { Labels, State, SizeRw = 0 } = container;
    const id = Labels[labels.id] ?? "";
    if (!isSandboxId(id)) return;
    this.#bytes.set(id, SizeRw);
    const allowed = askedOf(Labels[labels.asked]).diskBytes;
    if (freeze === undefined || SizeRw <= allowed) {
      this.#over.delete(id);
      return;
    }
    if (!this.#over.has(id)) this.#deps.log.warn("a sandbox has filled its disk", { id, bytes: SizeRw, allowed });
    this.#over.add(id);
    if (State === "running") await freeze(id, signal);
  }

  #forgetOthers(listed: readonly ListedContainer[]): void {
    const there = new Set(listed.map(({ Labels }) => Labels[labels.id]));
    for (const id of this.#bytes.keys()) if (!there.has(id)) this.#bytes.delete(id);
    for (const id of this.#over) if (!there.has(id)) this.#over.delete(id);
  }
}

function askedOf(json: string | undefined): Asked {
  try {
    return JSON.parse(json ?? "") as Asked;
  } catch {
    return { diskBytes: Number.POSITIVE_INFINITY }; // not ours to judge
  }
}
