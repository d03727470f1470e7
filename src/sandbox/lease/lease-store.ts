/**
 * Leases on disk, what ended ones used, and what the owner decided about lending.
 *
 * Each step of a sandbox's life is written before it is taken. A `kill -9` loses nothing that was written; a power cut may
 * lose the last moments, after which the reconciler removes what no lease speaks of.
 */

import type { DatabaseSync } from "node:sqlite";
import { Compile } from "typebox/compile";
import { isNodeId, type NodeId } from "../../core/index.ts";
import { durably, inTransaction, migrate } from "../../store/index.ts";
import { LendLimits } from "../contract.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";
import { Lease, nothingUsed, Used } from "./lease.ts";

const STEPS = [
  `CREATE TABLE sandbox_leases (id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
   CREATE TABLE sandbox_history (
     id TEXT PRIMARY KEY, guest TEXT NOT NULL, name TEXT NOT NULL, made INTEGER NOT NULL, ended INTEGER NOT NULL,
     reason TEXT NOT NULL, used TEXT NOT NULL) STRICT;
   CREATE INDEX sandbox_history_ended ON sandbox_history (ended);
   CREATE TABLE sandbox_usage (
     guest TEXT PRIMARY KEY, sandboxes INTEGER NOT NULL, used TEXT NOT NULL, first INTEGER NOT NULL,
     last INTEGER NOT NULL) STRICT;
   CREATE TABLE sandbox_settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;`,
];

/** Ended sandboxes that are remembered one by one, 200 bytes each; what they used stays in the sums. */
const MAX_HISTORY = 10_000;
/** Guests whose sums are kept: as many as there are grants, some times over. */
const MAX_GUESTS = 4_096;

const isLease = Compile(Lease);
const isUsed = Compile(Used);
const isLimits = Compile(LendLimits);

export interface Ending {
  readonly at: number;
  readonly reason: string;
}

/** What one guest's ended sandboxes used. */
export interface GuestTotal {
  readonly guest: NodeId;
  readonly sandboxes: number;
  readonly used: Used;
  readonly first: number;
  readonly last: number;
}

export class LeaseStore {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    migrate(database, "sandbox", STEPS);
    this.#database = database;
  }

  /** Oldest first. */
  leases(): readonly Lease[] {
    const rows = this.#database.prepare("SELECT body FROM sandbox_leases ORDER BY rowid").all();
    return rows.map(({ body }) => checked(isLease, body));
  }

  /** @throws {Failure} disk-full; then none of them is written */
  put(leases: readonly Lease[]): void {
    const save = this.#database.prepare(
      "INSERT INTO sandbox_leases VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET body = excluded.body",
    );
    inTransaction(this.#database, () => {
      for (const lease of leases) save.run(lease.id, JSON.stringify(lease));
    });
  }

  /** For a sandbox that never ran: nothing of it is remembered. */
  forget(id: SandboxId): void {
    inTransaction(this.#database, () => this.#database.prepare("DELETE FROM sandbox_leases WHERE id = ?").run(id));
  }

  /** From a lease to history, with what it used. */
  end(lease: Lease, { at, reason }: Ending): void {
    const { id, guest, name, made, used } = lease;
    inTransaction(this.#database, () => {
      this.#database.prepare("DELETE FROM sandbox_leases WHERE id = ?").run(id);
      this.#database
        .prepare("INSERT OR REPLACE INTO sandbox_history VALUES (?, ?, ?, ?, ?, ?, ?)")
        .run(id, guest, name, made, at, reason, JSON.stringify(used));
      this.#addUp(lease, at);
      this.#prune("sandbox_history", "ended", MAX_HISTORY);
      this.#prune("sandbox_usage", "last", MAX_GUESTS);
    });
  }

  /** Whose sandbox this was, where it has ended. */
  endedGuest(id: SandboxId): string | undefined {
    const row = this.#database.prepare("SELECT guest FROM sandbox_history WHERE id = ?").get(id);
    return row === undefined ? undefined : String(row["guest"]);
  }

  totals(): readonly GuestTotal[] {
    const rows = this.#database.prepare("SELECT * FROM sandbox_usage ORDER BY first").all();
    return rows.map(({ guest, sandboxes, used, first, last }) => ({
      guest: idFrom(guest),
      sandboxes: Number(sandboxes),
      used: checked(isUsed, used),
      first: Number(first),
      last: Number(last),
    }));
  }

  get limits(): LendLimits {
    const value = this.#setting("limits");
    return value === undefined ? {} : checked(isLimits, value);
  }

  set limits(limits: LendLimits) {
    this.#set("limits", JSON.stringify(limits));
  }

  get panic(): boolean {
    return this.#setting("panic") === "on";
  }

  set panic(on: boolean) {
    this.#set("panic", on ? "on" : "off");
  }

  #addUp({ guest, made, used }: Lease, at: number): void {
    const row = this.#database.prepare("SELECT * FROM sandbox_usage WHERE guest = ?").get(guest);
    const before = row === undefined ? nothingUsed : checked(isUsed, row["used"]);
    const first = row === undefined ? made : Math.min(made, Number(row["first"]));
    this.#database
      .prepare("INSERT OR REPLACE INTO sandbox_usage VALUES (?, ?, ?, ?, ?)")
      .run(guest, Number(row?.["sandboxes"] ?? 0) + 1, JSON.stringify(sum(before, used)), first, at);
  }

  #prune(table: "sandbox_history" | "sandbox_usage", column: "ended" | "last", keep: number): void {
    this.#database.exec(
      `DELETE FROM ${table} WHERE rowid IN (SELECT rowid FROM ${table} ORDER BY ${column} DESC LIMIT -1 OFFSET ${keep})`,
    );
  }

  #setting(key: string): string | undefined {
    const row = this.#database.prepare("SELECT value FROM sandbox_settings WHERE key = ?").get(key);
    return row === undefined ? undefined : String(row["value"]);
  }

  /** What the owner forbade stays forbidden after a power cut. */
  #set(key: string, value: string): void {
    durably(this.#database, () =>
      this.#database.prepare("INSERT OR REPLACE INTO sandbox_settings VALUES (?, ?)").run(key, value),
    );
  }
}

export function sum(a: Used, b: Used): Used {
  return {
    cpuMs: a.cpuMs + b.cpuMs,
    memoryByteSeconds: a.memoryByteSeconds + b.memoryByteSeconds,
    receivedBytes: a.receivedBytes + b.receivedBytes,
    sentBytes: a.sentBytes + b.sentBytes,
    linkBytes: a.linkBytes + b.linkBytes,
    diskBytes: 0,
  };
}

/** Only this program writes here, so anything else is a defect: better no daemon than one that guesses whose sandbox it holds. */
function checked<T>(validator: { Check(value: unknown): value is T }, text: unknown): T {
  const value: unknown = JSON.parse(String(text));
  if (validator.Check(value)) return value;
  throw new TypeError("a stored lease is not one");
}

function idFrom(text: unknown): NodeId {
  if (typeof text === "string" && isNodeId(text)) return text;
  throw new TypeError("a stored node id is not one");
}
