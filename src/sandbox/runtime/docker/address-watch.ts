/** Keeps the rules of running sandboxes up with this host's addresses: a LAN that is joined later is refused, too. */

import { type Clock, isAbort, type Log } from "../../../base/index.ts";
import { isSandboxId, type SandboxId } from "../sandbox-id.ts";
import type { Containers } from "./containers.ts";
import { labels } from "./words.ts";

/** Asking the system costs 100 µs. */
const REST_MS = 2_000;

export interface AddressWatchDeps {
  readonly networks: () => readonly string[];
  readonly containers: Pick<Containers, "list">;
  readonly renew: (id: SandboxId, signal: AbortSignal) => Promise<void>;
  readonly freeze: (id: SandboxId, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** Runs until `signal` aborts. Rules of before a restart are renewed at once. */
export async function watchAddresses(deps: AddressWatchDeps, signal: AbortSignal): Promise<void> {
  let known: string | undefined;
  while (!signal.aborted) {
    const now = deps.networks().join(" ");
    if (now !== known) {
      try {
        await renewAll(deps, signal);
        known = now;
      } catch (error) {
        if (isAbort(error, signal)) return;
        deps.log.warn("cannot renew the network rules of sandboxes", { error: (error as Error).message });
      }
    }
    await deps.clock.sleep(REST_MS, signal);
  }
}

async function renewAll({ containers, renew, freeze, log }: AddressWatchDeps, signal: AbortSignal): Promise<void> {
  const companions = await containers.list({ role: "companion" }, signal);
  for (const { State, Labels } of companions) {
    const id = Labels[labels.id] ?? "";
    if (State !== "running" || !isSandboxId(id)) continue;
    try {
      await renew(id, signal);
    } catch (error) {
      signal.throwIfAborted();
      log.warn("froze a sandbox whose network rules could not be renewed", { id, error: (error as Error).message });
      await freeze(id, signal);
    }
  }
}
