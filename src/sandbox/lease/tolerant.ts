/** What the runtime cannot do now is tried again later, and is no reason for the rest to stop. */

import type { Log } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { Lease } from "./lease.ts";

/** Rejects with defects only. */
export async function tolerant(
  { lease, log }: { readonly lease: Pick<Lease, "id">; readonly log: Log },
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    log.warn("a sandbox could not be kept as it should be", { sandbox: lease.id, why: error.message });
  }
}
