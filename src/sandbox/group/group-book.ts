/** The book of groups: named sets of sandboxes. Only their ids are kept, and what they were called, for when they are gone. */

import type { DatabaseSync } from "node:sqlite";
import { Failure } from "../../core/index.ts";
import { durably, migrate } from "../../store/index.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";

export interface MemberRow {
  readonly id: SandboxId;
  readonly name: string;
}

export interface GroupRow {
  readonly id: string;
  readonly name: string;
  /** In wall time. */
  readonly made: number;
  readonly members: readonly MemberRow[];
}

export interface GroupBookOptions {
  /** More than anybody can tell apart; what a script in a loop would fill the disk with. @default 200 */
  readonly maxGroups?: number;
  /** As many as one may be asked to work on at once. @default 1_000 */
  readonly maxMembers?: number;
}

const STEPS = [
  `CREATE TABLE group_groups (
     id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, made INTEGER NOT NULL, members TEXT NOT NULL
   ) STRICT;`,
];

export class GroupBook {
  readonly #database: DatabaseSync;
  readonly #rows = new Map<string, GroupRow>();
  readonly #maxGroups: number;
  readonly #maxMembers: number;

  /** @throws {Failure} version-differs, disk-full */
  constructor(database: DatabaseSync, { maxGroups = 200, maxMembers = 1_000 }: GroupBookOptions = {}) {
    migrate(database, "group", STEPS);
    this.#database = database;
    this.#maxGroups = maxGroups;
    this.#maxMembers = maxMembers;
    for (const row of database.prepare("SELECT * FROM group_groups ORDER BY made, id").all()) {
      const read = rowOf(row);
      this.#rows.set(read.id, read);
    }
  }

  /** Oldest first. */
  get all(): readonly GroupRow[] {
    return [...this.#rows.values()];
  }

  /** On disk when this returns. @throws {Failure} conflict, too-large, disk-full */
  save(row: GroupRow): void {
    const isNew = !this.#rows.has(row.id);
    if (this.all.some(({ id, name }) => name === row.name && id !== row.id)) {
      throw new Failure("conflict", `you have a group "${row.name}" already`, {
        hint: `choose another name, or add to it with \`p2prc group add ${row.name} BOX\``,
      });
    }
    if (isNew && this.#rows.size >= this.#maxGroups) {
      throw new Failure("too-large", `there are ${this.#maxGroups} groups already`, {
        hint: "remove some with `p2prc group rm`; `p2prc group ls` lists them",
      });
    }
    if (row.members.length > this.#maxMembers) {
      throw new Failure("too-large", `a group has at most ${this.#maxMembers} sandboxes`, {
        hint: "make another group for the rest",
      });
    }
    durably(this.#database, () => {
      this.#database
        .prepare(
          `INSERT INTO group_groups (id, name, made, members) VALUES (?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET members = excluded.members`,
        )
        .run(row.id, row.name, row.made, JSON.stringify(row.members));
    });
    this.#rows.set(row.id, row);
  }

  delete(id: string): void {
    durably(this.#database, () => this.#database.prepare("DELETE FROM group_groups WHERE id = ?").run(id));
    this.#rows.delete(id);
  }
}

/** What we wrote ourselves: read back as it was. */
function rowOf(row: Record<string, unknown>): GroupRow {
  return {
    id: String(row["id"]),
    name: String(row["name"]),
    made: Number(row["made"]),
    members: JSON.parse(String(row["members"])) as readonly MemberRow[],
  };
}
