/**
 * Who gets in where there is no room for all.
 *
 * A full table is a sample: each id has a place by a secret hash, and low places stay, so neither being
 * first nor being told of often helps. An untested node never takes the place of a verified one; it
 * is tested first, and then the two compare places.
 */

import type { PlaceCaps, Whereabouts } from "./places.ts";
import type { Row } from "./row.ts";
import type { RowIndex } from "./row-index.ts";

export interface CapacityDeps {
  readonly index: RowIndex;
  readonly whereabouts: (row: Row) => Whereabouts | undefined;
  readonly isExempt: (row: Row) => boolean;
}

export interface CapacityOptions {
  readonly maxRows: number;
  readonly caps: PlaceCaps;
}

/** Of a full table, so much is for verified nodes; the rest is for those that wait to be tested. */
const VERIFIED_SHARE = 0.75;

/** Whether there is room, and who has to leave for it. */
export type Room = { readonly kind: "free" } | { readonly kind: "taken"; readonly by: Row } | { readonly kind: "none" };

const FREE: Room = { kind: "free" };
const NONE: Room = { kind: "none" };

export class Capacity {
  readonly #deps: CapacityDeps;
  readonly #options: CapacityOptions;
  /** The heard row with the highest place, while that is known. */
  #lastHeard: Row | undefined;

  constructor(deps: CapacityDeps, options: CapacityOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** For a row that is not in the table yet. */
  forHeard(row: Row): Room {
    const { index, whereabouts, isExempt } = this.#deps;
    const where = whereabouts(row);
    if (where !== undefined && !index.claimed.hasRoom(where, this.#options.caps, index.proven)) return NONE;
    if (index.size < this.#options.maxRows) return FREE;
    const suspect = firstOf(index.suspects, (other) => !isExempt(other));
    if (suspect !== undefined) return { kind: "taken", by: suspect };
    const last = this.#findLastHeard();
    return last !== undefined && (row.order < last.order || isExempt(row)) ? { kind: "taken", by: last } : NONE;
  }

  /** For a heard row that has just proved its key at `where`. */
  forVerified(row: Row, where: Whereabouts | undefined): Room {
    const { index, isExempt } = this.#deps;
    if (isExempt(row)) return FREE;
    if (where !== undefined && !index.proven.hasRoom(where, this.#options.caps)) return NONE;
    const { verified, suspect } = index.counts;
    if (verified + suspect < this.#options.maxRows * VERIFIED_SHARE) return FREE;
    const idle = firstOf(index.suspects, (other) => !isExempt(other));
    if (idle !== undefined) return { kind: "taken", by: idle };
    const last = highest(index.all(), (other) => other.state === "verified" && !other.anchor && !isExempt(other));
    return last !== undefined && row.order < last.order ? { kind: "taken", by: last } : NONE;
  }

  noteAdded(row: Row): void {
    if (this.#lastHeard !== undefined && row.order > this.#lastHeard.order) this.#lastHeard = undefined;
  }

  #findLastHeard(): Row | undefined {
    const { index, isExempt } = this.#deps;
    const known = this.#lastHeard;
    if (known !== undefined && known.state === "heard" && index.get(known.id) === known && !isExempt(known))
      return known;
    const all = index.heard.values().flatMap((lineage) => lineage.values());
    this.#lastHeard = highest(all, (row) => !isExempt(row));
    return this.#lastHeard;
  }
}

function highest(rows: Iterable<Row>, fits: (row: Row) => boolean): Row | undefined {
  let last: Row | undefined;
  for (const row of rows) if ((last === undefined || row.order > last.order) && fits(row)) last = row;
  return last;
}

function firstOf(rows: Iterable<Row>, fits: (row: Row) => boolean): Row | undefined {
  for (const row of rows) if (fits(row)) return row;
  return undefined;
}
