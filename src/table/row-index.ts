/**
 * All rows, and what is counted over them: states, lineages, places, and what others may hear of.
 *
 * Whoever changes a row does it inside `change`, so that no count is ever off.
 */

import { ChangeLog } from "./change-log.ts";
import { type Whereabouts, Places } from "./places.ts";
import type { NodeId } from "../core/index.ts";
import type { Row } from "./row.ts";

export interface RowRules {
  /** Where the row counts towards the caps; undefined when it is exempt. */
  readonly whereabouts: (row: Row) => Whereabouts | undefined;
  /** Whether others may hear of it. */
  readonly passable: (row: Row) => boolean;
}

export class RowIndex {
  readonly #rules: RowRules;
  readonly #rows = new Map<NodeId, Row>();
  readonly #heard = new Map<string, Set<Row>>();
  readonly #suspects = new Set<Row>();
  readonly #joined = new Set<Row>();
  #heardCount = 0;
  /** Places of rows that proved nothing yet: kept apart, so that claims do not crowd out what is proven. */
  readonly claimed = new Places();
  readonly proven = new Places();
  /** What others may hear of. */
  readonly passed: ChangeLog;
  /** The records that this node has. */
  readonly heardLog: ChangeLog;

  constructor(rules: RowRules, epoch: string) {
    this.#rules = rules;
    this.passed = new ChangeLog(epoch, "version");
    this.heardLog = new ChangeLog(epoch, "heardVersion");
  }

  get(id: NodeId): Row | undefined {
    return this.#rows.get(id);
  }

  all(): MapIterator<Row> {
    return this.#rows.values();
  }

  get joined(): ReadonlySet<Row> {
    return this.#joined;
  }

  get suspects(): ReadonlySet<Row> {
    return this.#suspects;
  }

  /** Rows that were not dialled with success, by lineage. The one that was tried longest ago comes first. */
  get heard(): ReadonlyMap<string, ReadonlySet<Row>> {
    return this.#heard;
  }

  get counts(): {
    readonly joined: number;
    readonly verified: number;
    readonly heard: number;
    readonly suspect: number;
  } {
    const [heard, suspect] = [this.#heardCount, this.#suspects.size];
    return { joined: this.#joined.size, verified: this.#rows.size - heard - suspect, heard, suspect };
  }

  get size(): number {
    return this.#rows.size;
  }

  add(row: Row): void {
    this.#rows.set(row.id, row);
    this.#count(row);
  }

  remove(row: Row): void {
    this.#uncount(row);
    this.#rows.delete(row.id);
    this.passed.withdraw(row);
    this.heardLog.withdraw(row);
  }

  change(row: Row, mutate: () => void): void {
    const before = row.signed;
    this.#uncount(row);
    mutate();
    this.#count(row, before);
  }

  /** Puts a heard row behind the others of its lineage. */
  rotate(row: Row): void {
    const lineage = this.#heard.get(row.root);
    if (lineage?.delete(row) === true) lineage.add(row);
  }

  #count(row: Row, before?: Row["signed"]): void {
    if (row.state === "heard") {
      this.#heardCount++;
      const lineage = this.#heard.get(row.root);
      if (lineage === undefined) this.#heard.set(row.root, new Set([row]));
      else lineage.add(row);
    }
    if (row.state === "suspect") this.#suspects.add(row);
    if (row.relation !== undefined) this.#joined.add(row);
    const where = this.#rules.whereabouts(row);
    if (where !== undefined) {
      const places = row.state === "heard" ? this.claimed : this.proven;
      places.add(where);
      row.counted = { places, where };
    }
    if (row.signed !== before) this.heardLog.touch(row);
    if (!this.#rules.passable(row)) this.passed.withdraw(row);
    else if (row.version === 0 || row.signed !== before) this.passed.touch(row);
  }

  #uncount(row: Row): void {
    if (row.state === "heard") {
      this.#heardCount--;
      const lineage = this.#heard.get(row.root);
      lineage?.delete(row);
      if (lineage?.size === 0) this.#heard.delete(row.root);
    }
    this.#suspects.delete(row);
    this.#joined.delete(row);
    row.counted?.places.remove(row.counted.where);
    row.counted = undefined;
  }
}
