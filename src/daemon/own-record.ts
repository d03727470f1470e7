/**
 * What this node says of itself: signed anew when something in it changes, with a higher `seq` each time.
 *
 * `seq` is kept before it is used, and starts at the seconds since 1970, so that a home that was
 * restored from a backup soon passes what others hold; where they hold more all the same, it jumps above.
 * While a full disk keeps no number, the last record stands, and signing is tried again.
 */

import type { KeyObject } from "node:crypto";
import type { DatabaseSync } from "node:sqlite";
import { type Clock, type Log, Topic } from "../base/index.ts";
import {
  cleanText,
  Failure,
  MAX_BODY_BYTES,
  MAX_SEQ,
  type NodeRecord,
  type SignedRecord,
  signRecord,
} from "../core/index.ts";
import { inTransaction, migrate } from "../store/index.ts";

/** What changes; the rest is made here. */
export type OwnFacts = Omit<NodeRecord, "v" | "seq" | "boot">;

export interface OwnRecordDeps {
  readonly key: KeyObject;
  readonly boot: string;
  readonly database: DatabaseSync;
  readonly clock: Clock;
  readonly log: Log;
}

export interface Signed {
  readonly record: NodeRecord;
  readonly signed: SignedRecord;
}

const STEPS = ["create table daemon_self (only integer primary key check (only = 1), seq integer not null) strict"];
/** How soon room on the disk is noticed. */
const RETRY_MS = 10_000;

export class OwnRecord {
  readonly changes = new Topic<Signed>();
  readonly #deps: OwnRecordDeps;
  #latest: Signed;
  #facts: OwnFacts;
  /** The `seq` to be above, where a record could not be signed for want of room on the disk. */
  #owed: number | undefined;

  /** @throws {Failure} version-differs, disk-full */
  constructor(deps: OwnRecordDeps, facts: OwnFacts) {
    this.#deps = deps;
    this.#facts = facts;
    migrate(deps.database, "daemon", STEPS);
    this.#latest = this.#sign(this.#nextSeq(0));
  }

  get latest(): Signed {
    return this.#latest;
  }

  /** Signs anew when a fact is another than before. */
  update(change: Partial<OwnFacts>): void {
    const facts = { ...this.#facts, ...change };
    if (JSON.stringify(facts) === JSON.stringify(this.#facts)) return;
    this.#facts = facts;
    this.#publish(0);
  }

  /** Somebody holds a record of this key with `seq`: the next one is above it. */
  outdo(seq: number): void {
    if (seq < this.#latest.record.seq) return;
    this.#publish(seq);
  }

  /** Whether others still hear what was true before, because the disk is full. */
  get stale(): boolean {
    return this.#owed !== undefined;
  }

  /** Signs what a full disk kept back, once there is room, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(RETRY_MS, signal);
      if (this.#owed !== undefined) this.#publish(this.#owed);
    }
  }

  #publish(above: number): void {
    const seq = this.#seqAbove(Math.max(above, this.#owed ?? 0));
    if (seq === undefined) return;
    this.#latest = this.#sign(seq);
    this.changes.publish(this.#latest);
  }

  /** Undefined where it could not be kept. */
  #seqAbove(above: number): number | undefined {
    const { log } = this.#deps;
    try {
      const seq = this.#nextSeq(above);
      if (this.stale) log.info("the own record is signed again");
      this.#owed = undefined;
      return seq;
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "disk-full") throw error;
      if (!this.stale) log.warn("the own record could not be signed anew", { reason: error.message });
      this.#owed = above;
      return undefined;
    }
  }

  /** @throws {Failure} disk-full */
  #nextSeq(above: number): number {
    const { database, clock } = this.#deps;
    const row = database.prepare("select seq from daemon_self").get();
    const kept = typeof row?.["seq"] === "number" ? row["seq"] : 0;
    const seconds = Math.floor(clock.wallTime() / 1000);
    // A clock that is far in the future must not use up the numbers that there are.
    const seq = Math.min(MAX_SEQ, Math.max(kept + 1, above + 1, Math.min(seconds, MAX_SEQ / 2)));
    const keep = database.prepare(
      "insert into daemon_self (only, seq) values (1, ?) on conflict (only) do update set seq = excluded.seq",
    );
    inTransaction(database, () => keep.run(seq));
    return seq;
  }

  #sign(seq: number): Signed {
    const { key, boot } = this.#deps;
    const record: NodeRecord = { v: 1, seq, boot, ...this.#facts, name: cleanText(this.#facts.name, 32) };
    return { record, signed: signRecord(fitting(record), key) };
  }
}

/** Drops the owner's free text, then the GPUs, where a record would be too large. */
function fitting(record: NodeRecord): NodeRecord {
  const tries = [
    record,
    { ...record, info: "" },
    { ...record, info: "", resources: { ...record.resources, gpus: [] } },
  ];
  return tries.find((each) => Buffer.byteLength(JSON.stringify(each)) <= MAX_BODY_BYTES) ?? record;
}
