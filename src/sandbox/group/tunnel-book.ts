/** The book of tunnels: what is carried between whom, so that the next daemon makes it again, at the same addresses. */

import type { DatabaseSync } from "node:sqlite";
import { Failure } from "../../core/index.ts";
import { durably, migrate } from "../../store/index.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";

export interface TunnelRow {
  /** The group's. */
  readonly id: string;
  /** 127.77.<place>.0/24 is its own. */
  readonly place: number;
  readonly ports: readonly PortRange[];
  readonly members: readonly TunnelSeat[];
}

export interface PortRange {
  readonly first: number;
  readonly last: number;
  /** Undefined: of all. */
  readonly box?: SandboxId;
}

export interface TunnelSeat {
  readonly id: SandboxId;
  readonly name: string;
  /** 127.77.<place of the tunnel>.<place>, from 1. */
  readonly place: number;
}

/** Each holds two streams into every sandbox of its group. */
const MAX_TUNNELS = 16;

const STEPS = [`CREATE TABLE tunnel_tunnels (id TEXT PRIMARY KEY, row TEXT NOT NULL) STRICT;`];

export class TunnelBook {
  readonly #database: DatabaseSync;
  readonly #rows = new Map<string, TunnelRow>();

  /** @throws {Failure} version-differs, disk-full */
  constructor(database: DatabaseSync) {
    migrate(database, "tunnel", STEPS);
    this.#database = database;
    for (const { row } of database.prepare("SELECT row FROM tunnel_tunnels ORDER BY rowid").all()) {
      const read = JSON.parse(String(row)) as TunnelRow; // what we wrote ourselves
      this.#rows.set(read.id, read);
    }
  }

  get all(): readonly TunnelRow[] {
    return [...this.#rows.values()];
  }

  get(id: string): TunnelRow | undefined {
    return this.#rows.get(id);
  }

  /** A place for a new one. @throws {Failure} too-large */
  freePlace(): number {
    const taken = new Set(this.all.map(({ place }) => place));
    const free = Array.from({ length: MAX_TUNNELS }, (_, place) => place).find((place) => !taken.has(place));
    if (free !== undefined) return free;
    throw new Failure("too-large", `${MAX_TUNNELS} groups have a tunnel already`, {
      hint: "end some with `p2prc group tunnel GROUP --stop`",
    });
  }

  /** On disk when this returns. @throws {Failure} disk-full */
  save(row: TunnelRow): void {
    durably(this.#database, () => {
      this.#database
        .prepare("INSERT INTO tunnel_tunnels (id, row) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET row = excluded.row")
        .run(row.id, JSON.stringify(row));
    });
    this.#rows.set(row.id, row);
  }

  delete(id: string): void {
    durably(this.#database, () => this.#database.prepare("DELETE FROM tunnel_tunnels WHERE id = ?").run(id));
    this.#rows.delete(id);
  }
}
