/**
 * The control of the table simulation: every node merges whatever anybody sends, asked or not, trusts it
 * at once, has no friends, and picks its neighbours at random. As the first P2PRC did.
 */

import { type Random, randomBelow, seededRandom } from "../../src/base/index.ts";
import { mean, type Snapshot, spread } from "../../test/support/table-world.ts";

export interface NaiveOptions {
  readonly nodes: number;
  readonly colluders: number;
  readonly seed: number;
  readonly starts: number;
}

/** What a table holds, as the first design had it; at most a third of the network. */
const MAX_ROWS = 600;
const REPLY_ROWS = 250;
const OUTBOUND = 8;
const RECORD_BYTES = 700;

export class NaiveWorld {
  readonly #random: Random;
  /** Nodes below this number collude. */
  readonly #colluders: number;
  readonly #tables: NaiveTable[] = [];
  #round = 0;
  #records = 0;

  constructor({ nodes, colluders, seed, starts }: NaiveOptions) {
    this.#random = seededRandom(seed);
    this.#colluders = Math.round(nodes * colluders);
    const maxRows = Math.min(MAX_ROWS, Math.ceil(nodes * 0.3));
    for (let i = this.#colluders; i < nodes; i++) {
      const table = new NaiveTable(maxRows, this.#random);
      for (let start = 0; start < starts; start++) table.add(randomBelow(this.#random, nodes));
      this.#tables.push(table);
    }
  }

  /** Every honest node exchanges with somebody it knows; every colluder pushes to somebody. */
  step(): void {
    this.#round++;
    for (const table of this.#tables) {
      const partner = table.any();
      if (partner < this.#colluders) this.#push(table);
      else {
        const other = this.#tables[partner - this.#colluders] as NaiveTable;
        this.#merge(table, other.some(REPLY_ROWS));
        this.#merge(other, table.some(REPLY_ROWS));
      }
    }
    for (let i = 0; i < this.#colluders; i++) {
      this.#push(this.#tables[randomBelow(this.#random, this.#tables.length)] as NaiveTable);
    }
  }

  /** Honest nodes whose eight neighbours all collude. */
  get cutOff(): number {
    const isCutOff = (table: NaiveTable) => table.some(OUTBOUND).every((id) => id < this.#colluders);
    return this.#tables.filter(isCutOff).length;
  }

  snapshot(): Snapshot {
    const shares = this.#tables.map(
      (table) => table.ids.filter((id) => id < this.#colluders).length / table.ids.length,
    );
    const honest = this.#tables.map((table, i) => table.ids.length * (1 - (shares[i] ?? 0)));
    return {
      round: this.#round,
      known: mean(honest) / this.#tables.length,
      bad: spread(shares),
      badVerified: spread(shares),
      cutOff: this.cutOff,
      stale: 0,
      bytes: (this.#records * RECORD_BYTES) / this.#tables.length,
    };
  }

  #push(table: NaiveTable): void {
    this.#merge(
      table,
      Array.from({ length: REPLY_ROWS }, () => randomBelow(this.#random, this.#colluders)),
    );
  }

  #merge(table: NaiveTable, ids: readonly number[]): void {
    this.#records += ids.length;
    for (const id of ids) table.add(id);
  }
}

/** A full one lets go of anybody for a newcomer. */
class NaiveTable {
  readonly ids: number[] = [];
  readonly #known = new Set<number>();
  readonly #maxRows: number;
  readonly #random: Random;

  constructor(maxRows: number, random: Random) {
    this.#maxRows = maxRows;
    this.#random = random;
  }

  add(id: number): void {
    if (this.#known.has(id)) return;
    this.#known.add(id);
    if (this.ids.length < this.#maxRows) {
      this.ids.push(id);
      return;
    }
    const place = randomBelow(this.#random, this.ids.length);
    this.#known.delete(this.ids[place] as number);
    this.ids[place] = id;
  }

  any(): number {
    return this.ids[randomBelow(this.#random, this.ids.length)] as number;
  }

  some(count: number): number[] {
    return Array.from({ length: count }, () => this.any());
  }
}
