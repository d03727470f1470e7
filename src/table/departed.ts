/**
 * What is remembered of rows that left: their `seq`, so that an old record does not come back, and the
 * last records of those that had answered, so that two halves of a split network find each other again.
 */

import { LruMap } from "../base/index.ts";
import type { NodeId } from "../core/index.ts";
import type { Row, VersionedRecord } from "./row.ts";

const MAX_FORGOTTEN = 16_384;
const MAX_LOST = 512;
/** A row that left does not come back with the same record before this. */
const REST_MS = 600_000;
const LOST_MS = 24 * 3_600_000;

interface Lost extends VersionedRecord {
  readonly at: number;
}

export class Departed {
  readonly #forgotten = new LruMap<NodeId, { readonly seq: number; readonly until: number }>(MAX_FORGOTTEN);
  readonly #lost = new LruMap<NodeId, Lost>(MAX_LOST);

  /** Only rows that once answered are worth it: junk must not flush the memory of real ones. */
  add({ id, signed, record, seenAt }: Row, now: number): void {
    if (signed === undefined || record === undefined || seenAt === undefined) return;
    this.#forgotten.set(id, { seq: record.seq, until: now + REST_MS });
    this.#lost.set(id, { signed, record, at: now });
  }

  /** Whether a record with this `seq` is older than what the node already said, or the same and too soon. */
  refuses(id: NodeId, seq: number, now: number): boolean {
    const last = this.#forgotten.get(id);
    if (last === undefined) return false;
    return seq < last.seq || (seq === last.seq && now < last.until);
  }

  /** The one that is lost for longest. It is forgotten here with that. */
  takeLost(now: number): VersionedRecord | undefined {
    for (const [id, lost] of this.#lost.entries()) {
      this.#lost.delete(id);
      if (now - lost.at > LOST_MS) continue;
      this.#forgotten.set(id, { seq: lost.record.seq, until: now });
      return lost;
    }
    return undefined;
  }

  get size(): { readonly forgotten: number; readonly lost: number } {
    return { forgotten: this.#forgotten.size, lost: this.#lost.size };
  }

  /** For the disk. */
  *seqs(): IterableIterator<{ readonly id: NodeId; readonly seq: number }> {
    for (const [id, { seq }] of this.#forgotten.entries()) yield { id, seq };
  }

  restore(seqs: Iterable<{ readonly id: NodeId; readonly seq: number }>, now: number): void {
    for (const { id, seq } of seqs) this.#forgotten.set(id, { seq, until: now });
  }
}
