/**
 * What changed since: rows in the order in which they changed last.
 *
 * There are two such logs: of rows that others may hear of, and of records that this node heard.
 * A cursor is `<epoch>.<version>`. The epoch is new in each life of the daemon, so a cursor from
 * another life starts over instead of missing things.
 */

import type { Row } from "./row.ts";

export interface Page {
  readonly rows: Row[];
  readonly cursor: string;
  readonly more: boolean;
}

export interface PageOptions {
  readonly since: string | undefined;
  readonly limit: number;
  /** Whether to leave a row out, for the asker has it. */
  readonly skip: (row: Row) => boolean;
  /** What the rows of a page may weigh together. */
  readonly maxBytes: number;
  readonly weigh: (row: Row) => number;
}

export class ChangeLog {
  readonly #epoch: string;
  /** Where a row keeps its version in this log. */
  readonly #field: "version" | "heardVersion";
  /** Versions, ascending, and their rows. An entry whose row has another version by now is stale. */
  #versions: number[] = [];
  #rows: Row[] = [];
  #live = 0;
  #version = 0;

  /** @param epoch 16 hex digits */
  constructor(epoch: string, field: "version" | "heardVersion") {
    this.#epoch = epoch;
    this.#field = field;
  }

  get version(): number {
    return this.#version;
  }

  /** How many entries are kept, stale ones included: at most twice the rows in the log, and 64. */
  get size(): number {
    return this.#versions.length;
  }

  /** Notes that `row` changed. */
  touch(row: Row): void {
    if (row[this.#field] === 0) this.#live++;
    row[this.#field] = ++this.#version;
    this.#versions.push(this.#version);
    this.#rows.push(row);
    this.#compact();
  }

  /** Takes `row` out of the log. */
  withdraw(row: Row): void {
    if (row[this.#field] === 0) return;
    row[this.#field] = 0;
    this.#live--;
    this.#compact();
  }

  page({ since, limit, skip, maxBytes, weigh }: PageOptions): Page {
    const rows: Row[] = [];
    let bytes = 0;
    let reached = this.#position(since);
    for (let i = this.#firstAfter(reached); i < this.#versions.length; i++) {
      const version = this.#versions[i] as number;
      const row = this.#rows[i] as Row;
      if (row[this.#field] === version && !skip(row)) {
        bytes += weigh(row);
        if (rows.length === limit || bytes > maxBytes) return { rows, cursor: this.#cursor(reached), more: true };
        rows.push(row);
      }
      reached = version;
    }
    return { rows, cursor: this.#cursor(this.#version), more: false };
  }

  /** The rows that changed after `version`. */
  changedAfter(version: number): Row[] {
    const rows: Row[] = [];
    for (let i = this.#firstAfter(version); i < this.#versions.length; i++) {
      const row = this.#rows[i] as Row;
      if (row[this.#field] === this.#versions[i]) rows.push(row);
    }
    return rows;
  }

  #cursor(version: number): string {
    return `${this.#epoch}.${version}`;
  }

  #position(since: string | undefined): number {
    const [epoch, version] = since?.split(".") ?? [];
    return epoch === this.#epoch ? Math.min(Number(version), this.#version) : 0;
  }

  #firstAfter(version: number): number {
    let low = 0;
    let high = this.#versions.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#versions[middle] as number) > version) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  #compact(): void {
    if (this.#versions.length <= 2 * this.#live + 64) return;
    const isLive = (row: Row, i: number) => row[this.#field] === this.#versions[i];
    const rows = this.#rows.filter(isLive);
    this.#versions = rows.map((row) => row[this.#field]);
    this.#rows = rows;
  }
}
