/**
 * What becomes of records that others send.
 *
 * Cheap checks come first: shape, seq, address, room; the signature (150 µs) is only checked for what would be
 * kept. Nothing that others send removes a row, or says anything of a node but what that node signed.
 */

import type { Clock, Topic } from "../base/index.ts";
import { Failure, formatEndpoint, type NodeId, type NodeRecord, type SignedRecord } from "../core/index.ts";
import { isStillThere, type Row, supersedes, type VersionedRecord } from "./row.ts";
import type { Rows } from "./rows.ts";

/** How a record is read and checked. Simulations bring cheaper ones. */
export interface RecordRules {
  /** @throws {Failure} bad-record */
  read(signed: SignedRecord): NodeRecord;
  isSigned(signed: SignedRecord, id: NodeId): boolean;
}

export interface RecordIntakeDeps {
  readonly id: NodeId;
  /** This node's own record, once it has one. */
  readonly self: () => VersionedRecord | undefined;
  readonly records: RecordRules;
  readonly rows: Rows;
  readonly echoes: Topic<NodeRecord>;
  readonly clock: Clock;
}

/** Who told of a record. A person's word begins a lineage of its own. */
export type Source =
  | { readonly kind: "node"; readonly id: NodeId }
  /** Of itself, on a link that it opened. */
  | { readonly kind: "announced"; readonly by: NodeId }
  | { readonly kind: "person" };

/** What became of the records that somebody sent. */
export interface Learned {
  /** Nodes that were not in the table before. */
  readonly freshIds: NodeId[];
  fresh: number;
  changed: number;
  known: number;
  /** Sound, but at an address that gossip may not name. */
  useless: number;
  /** Sound, but there are enough from that place, or enough at all. */
  crowded: number;
  bad: number;
}

type Outcome = Exclude<keyof Learned, "freshIds">;

/** After so many bad records nobody reads the rest of a reply. */
const MAX_BAD_RECORDS = 16;

export class RecordIntake {
  readonly #deps: RecordIntakeDeps;

  constructor(deps: RecordIntakeDeps) {
    this.#deps = deps;
  }

  learn(records: Iterable<SignedRecord>, source: Source): Learned {
    const learned: Learned = { freshIds: [], fresh: 0, changed: 0, known: 0, useless: 0, crowded: 0, bad: 0 };
    for (const signed of records) {
      const next = this.read(signed);
      const outcome = next === undefined ? "bad" : this.#learnOne(next, source);
      learned[outcome]++;
      if (outcome === "fresh" && next !== undefined) learned.freshIds.push(next.record.id);
      if (learned.bad >= MAX_BAD_RECORDS) break;
    }
    return learned;
  }

  /** Undefined when it is none. Its signature is not checked by that. */
  read(signed: SignedRecord): VersionedRecord | undefined {
    try {
      return { signed, record: this.#deps.records.read(signed) };
    } catch (error) {
      if (error instanceof Failure) return undefined;
      throw error;
    }
  }

  /** A record of a node that is not in the table. */
  admit(next: VersionedRecord, source: Source): Outcome {
    const { records, rows, clock } = this.#deps;
    const { id, seq, via } = next.record;
    if (rows.departed.refuses(id, seq, clock.now())) return "known";
    const row = rows.make(id, this.#rootFor(id, source));
    rows.setRecord(row, next);
    if (row.told.length + via.length === 0) return "useless";
    const room = rows.capacity.forHeard(row);
    if (room.kind === "none") return "crowded";
    if (!records.isSigned(next.signed, id)) return "bad";
    if (room.kind === "taken") rows.remove(room.by);
    rows.insert(row);
    return "fresh";
  }

  #learnOne(next: VersionedRecord, source: Source): Outcome {
    const { id } = next.record;
    if (source.kind === "announced" && source.by !== id) return "bad";
    if (id === this.#deps.id) return this.#echo(next);
    const row = this.#deps.rows.index.get(id);
    return row === undefined ? this.admit(next, source) : this.#update(row, next, source);
  }

  #update(row: Row, next: VersionedRecord, source: Source): Outcome {
    const { records, rows } = this.#deps;
    if (row.root === "announced" && source.kind !== "announced") {
      rows.change(row, () => {
        row.root = this.#rootFor(row.id, source);
      });
    }
    if (hasRecord(row) && !supersedes(next, row)) return "known";
    if (!records.isSigned(next.signed, row.id)) return "bad";
    rows.change(row, () => {
      if (row.state === "verified" && !isStillThere(row, next.record)) row.state = "heard";
      const before = new Set(row.told.map(formatEndpoint));
      rows.setRecord(row, next);
      // Where a joined node or a guest is now is worth a try at once, however often it was not found where it was.
      if (rows.isExempt(row) && row.told.some((endpoint) => !before.has(formatEndpoint(endpoint)))) row.nextTryAt = 0;
      if (row.relation !== undefined) row.name ??= rows.nameFor(row);
    });
    return "changed";
  }

  #echo(next: VersionedRecord): Outcome {
    const own = this.#deps.self(); // undefined while this node tells nobody of itself; others may do so all the same
    if (own !== undefined && !supersedes(next, own)) return "known";
    if (!this.#deps.records.isSigned(next.signed, this.#deps.id)) return "bad";
    this.#deps.echoes.publish(next.record);
    return "known";
  }

  #rootFor(id: NodeId, source: Source): string {
    if (source.kind === "person") return id;
    return source.kind === "node" ? (this.#deps.rows.index.get(source.id)?.root ?? "announced") : source.kind;
  }
}

function hasRecord(row: Row): row is Row & VersionedRecord {
  return row.signed !== undefined && row.record !== undefined;
}
