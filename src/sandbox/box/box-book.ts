/**
 * The book of what this person holds on other nodes.
 *
 * A row is written before its node is asked for anything, so that no sandbox is ever forgotten: `asked` (whether it was
 * made is not known yet), `held`, `leaving` (to be removed; its node has not confirmed it). Rows are deleted once
 * their node says that nothing is there.
 */

import type { DatabaseSync } from "node:sqlite";
import { Failure, type NodeId } from "../../core/index.ts";
import { durably, migrate } from "../../store/index.ts";
import type { CreateRequest, Sandbox } from "../contract.ts";
import type { SandboxId } from "../runtime/sandbox-id.ts";

export type BoxState = "asked" | "held" | "leaving";

export interface BoxRow {
  readonly id: SandboxId;
  readonly name: string;
  readonly node: NodeId;
  readonly state: BoxState;
  readonly request: CreateRequest;
  /** As its node described it last. Undefined until it has been made. */
  readonly sandbox: Sandbox | undefined;
  /** When it was asked for, in wall time. */
  readonly at: number;
}

/** More than anybody can use; what a script in a loop would fill the disk with. */
const MAX_BOXES = 2_000;

const STEPS = [
  `CREATE TABLE box_boxes (
     id TEXT PRIMARY KEY, name TEXT NOT NULL, node TEXT NOT NULL,
     state TEXT NOT NULL CHECK (state IN ('asked', 'held', 'leaving')),
     request TEXT NOT NULL, sandbox TEXT, at INTEGER NOT NULL
   ) STRICT;
   CREATE UNIQUE INDEX box_names ON box_boxes (name) WHERE state <> 'leaving';`,
];

export class BoxBook {
  readonly #database: DatabaseSync;
  readonly #rows = new Map<SandboxId, BoxRow>();
  readonly #maxBoxes: number;

  /** @param options.maxBoxes @default 2_000 */
  constructor(database: DatabaseSync, { maxBoxes = MAX_BOXES }: { readonly maxBoxes?: number } = {}) {
    migrate(database, "box", STEPS);
    this.#database = database;
    this.#maxBoxes = maxBoxes;
    for (const row of database.prepare("SELECT * FROM box_boxes ORDER BY at, id").all()) {
      const read = rowOf(row);
      this.#rows.set(read.id, read);
    }
  }

  /** Those that are held, oldest first. */
  get held(): readonly BoxRow[] {
    return this.all.filter(({ state }) => state === "held");
  }

  get all(): readonly BoxRow[] {
    return [...this.#rows.values()];
  }

  get(id: SandboxId): BoxRow | undefined {
    return this.#rows.get(id);
  }

  /** Whether a name may be given. Those that are leaving have theirs no longer. */
  isTaken(name: string): boolean {
    return this.all.some((row) => row.name === name && row.state !== "leaving");
  }

  /** On disk when this returns. @throws {Failure} conflict, too-large, disk-full */
  add(row: BoxRow): void {
    if (this.isTaken(row.name)) throw taken(row.name);
    if (this.#rows.size >= this.#maxBoxes) {
      throw new Failure("too-large", `there are ${this.#maxBoxes} sandboxes in the book already`, {
        hint: "remove some with `p2prc rm`; `p2prc ps` lists them",
      });
    }
    this.#save(row);
  }

  /** On disk when this returns. Content when the row has been deleted meanwhile. */
  change(id: SandboxId, change: Partial<Pick<BoxRow, "state" | "sandbox">>): void {
    const row = this.#rows.get(id);
    if (row !== undefined) this.#save({ ...row, ...change });
  }

  delete(id: SandboxId): void {
    if (!this.#rows.has(id)) return;
    durably(this.#database, () => this.#database.prepare("DELETE FROM box_boxes WHERE id = ?").run(id));
    this.#rows.delete(id);
  }

  #save(row: BoxRow): void {
    durably(this.#database, () => {
      this.#database
        .prepare(
          `INSERT INTO box_boxes (id, name, node, state, request, sandbox, at) VALUES (?, ?, ?, ?, ?, ?, ?)
           ON CONFLICT (id) DO UPDATE SET state = excluded.state, sandbox = excluded.sandbox`,
        )
        .run(row.id, row.name, row.node, row.state, JSON.stringify(row.request), textOf(row.sandbox), row.at);
    });
    this.#rows.set(row.id, row);
  }
}

function taken(name: string): Failure {
  return new Failure("conflict", `you have a sandbox "${name}" already`, {
    hint: `choose another name, or remove it with \`p2prc rm ${name}\``,
  });
}

function textOf(sandbox: Sandbox | undefined): string | null {
  return sandbox === undefined ? null : JSON.stringify(sandbox);
}

/** What we wrote ourselves: read back as it was. */
function rowOf(row: Record<string, unknown>): BoxRow {
  const sandbox = row["sandbox"];
  return {
    id: row["id"] as SandboxId,
    name: String(row["name"]),
    node: row["node"] as NodeId,
    state: row["state"] as BoxState,
    request: JSON.parse(String(row["request"])) as CreateRequest,
    sandbox: typeof sandbox === "string" ? (JSON.parse(sandbox) as Sandbox) : undefined,
    at: Number(row["at"]),
  };
}
