/**
 * When leases end, by two clocks: the calendar says so, or as much time has passed as was left.
 *
 * A calendar that is set forward ends a lease at the hour that was promised; one that is set back adds nothing to it. A
 * machine that sleeps stops the second clock but not the first.
 */

import type { Clock } from "../../base/index.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import type { Lease } from "./lease.ts";

/** A calendar that is being corrected drifts; below this the promised hour is left as it was told. */
const TOLERANCE_MS = 1_000;

export class Deadlines {
  readonly #clock: Clock;
  readonly #ends = new Map<SandboxId, number>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** From now on `lease` has `leftMs`, or what is left by the calendar where that is less. */
  set({ id, expires, leftMs }: Lease): void {
    const byCalendar = expires - this.#clock.wallTime();
    this.#ends.set(id, this.#clock.now() + Math.min(byCalendar, leftMs));
  }

  forget(id: SandboxId): void {
    this.#ends.delete(id);
  }

  /** Negative when it is over. */
  leftMs({ id, expires }: Pick<Lease, "id" | "expires">): number {
    const byCalendar = expires - this.#clock.wallTime();
    const end = this.#ends.get(id);
    return end === undefined ? byCalendar : Math.min(byCalendar, end - this.#clock.now());
  }

  /** The lease as it is to be written: the promised hour follows a calendar that went back. */
  current(lease: Lease): Lease {
    const leftMs = this.leftMs(lease);
    const expires = Math.round(this.#clock.wallTime() + leftMs);
    return expires < lease.expires - TOLERANCE_MS ? { ...lease, expires, leftMs } : { ...lease, leftMs };
  }
}
