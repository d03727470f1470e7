/** Every lease of this node, in memory as on disk, and what is left of its time. */

import type { Clock, Log } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { Deadlines } from "./deadlines.ts";
import type { Lease } from "./lease.ts";
import type { LeaseStore } from "./lease-store.ts";

export interface LeaseBookDeps {
  readonly store: LeaseStore;
  readonly clock: Clock;
  readonly log: Log;
}

export class LeaseBook {
  readonly #store: LeaseStore;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #deadlines: Deadlines;
  readonly #leases = new Map<SandboxId, Lease>();

  constructor({ store, clock, log }: LeaseBookDeps) {
    this.#log = log;
    this.#store = store;
    this.#clock = clock;
    this.#deadlines = new Deadlines(clock);
    for (const lease of store.leases()) {
      this.#leases.set(lease.id, lease);
      this.#deadlines.set(lease);
    }
  }

  /** Oldest first. */
  get all(): readonly Lease[] {
    return [...this.#leases.values()];
  }

  get size(): number {
    return this.#leases.size;
  }

  get(id: SandboxId): Lease | undefined {
    return this.#leases.get(id);
  }

  of(guest: NodeId): readonly Lease[] {
    return this.all.filter((lease) => lease.guest === guest);
  }

  /** Whose sandbox this was, where it has ended. */
  endedGuest(id: SandboxId): string | undefined {
    return this.#store.endedGuest(id);
  }

  /** Negative when it is over. */
  leftMs(lease: Lease): number {
    return this.#deadlines.leftMs(lease);
  }

  /** Writes a new one. @throws {Failure} disk-full */
  add(lease: Lease): void {
    this.#store.put([lease]);
    this.#leases.set(lease.id, lease);
    this.#deadlines.set(lease);
  }

  /**
   * Notes what changes. It holds from now on even where the disk is full: what is taken from a guest must not wait for
   * room on it.
   * @returns undefined where it has ended
   */
  change(id: SandboxId, change: Partial<Lease>): Lease | undefined {
    const before = this.#leases.get(id);
    if (before === undefined) return undefined;
    const lease = { ...before, ...change };
    this.#leases.set(id, lease);
    this.#tolerant(() => this.#store.put([lease]));
    return lease;
  }

  /** From now on it has `lifetimeMs`. @returns undefined where it has ended @throws {Failure} disk-full */
  prolong(id: SandboxId, lifetimeMs: number, change: Partial<Lease> = {}): Lease | undefined {
    const before = this.#leases.get(id);
    if (before === undefined) return undefined;
    const expires = Math.round(this.#clock.wallTime() + lifetimeMs);
    const lease = { ...before, ...change, lifetimeMs, expires, leftMs: lifetimeMs };
    this.#store.put([lease]);
    this.#leases.set(id, lease);
    this.#deadlines.set(lease);
    return lease;
  }

  /** Writes how much time is left to each, and whatever else `change` says of it: once for all of them. */
  keepUp(change: (lease: Lease) => Partial<Lease> = () => ({})): void {
    const current = this.all.map((lease) => ({ ...this.#deadlines.current(lease), ...change(lease) }));
    if (current.length === 0) return;
    for (const lease of current) this.#leases.set(lease.id, lease);
    this.#tolerant(() => this.#store.put(current));
  }

  /** For a sandbox that never ran. */
  forget(id: SandboxId): void {
    this.#drop(id);
    this.#tolerant(() => this.#store.forget(id));
  }

  end(id: SandboxId): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#drop(id);
    this.#tolerant(() => this.#store.end(lease, { at: this.#clock.wallTime(), reason: lease.reason ?? "removed" }));
  }

  /** A later start finds the lease as it was, and nothing behind it: it is then ended again. */
  #tolerant(write: () => void): void {
    try {
      write();
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#log.warn("a lease could not be written", { why: error.message });
    }
  }

  #drop(id: SandboxId): void {
    this.#leases.delete(id);
    this.#deadlines.forget(id);
  }
}
