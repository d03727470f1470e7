/**
 * The IP table on disk: one line of SQLite for each row, written in batches shortly after it changed.
 *
 * What is lost by a `kill -9` is at most the last few seconds of what others can tell again. What a person
 * decided (a friend, a name) is written at once. A line that cannot be read is skipped and counted.
 */

import type { DatabaseSync } from "node:sqlite";
import { type Static, Type } from "typebox";
import { Compile } from "typebox/compile";
import type { Clock, Log } from "../base/index.ts";
import { Failure, isNodeId, type NodeId } from "../core/index.ts";
import { pathKinds } from "../network/index.ts";
import { inTransaction, migrate } from "../store/index.ts";
import type { NodeTable } from "./node-table.ts";
import type { Row } from "./row.ts";

export interface RowStoreDeps {
  readonly database: DatabaseSync;
  readonly table: NodeTable;
  readonly clock: Clock;
  readonly log: Log;
}

const STEPS = [
  `CREATE TABLE table_rows (id TEXT PRIMARY KEY, body TEXT, signature TEXT, ours TEXT NOT NULL) STRICT, WITHOUT ROWID;
   CREATE TABLE table_departed (id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;`,
];
const BATCH_MS = 2_000;
/** The seqs of rows that left change seldom and matter little: they go with each hundredth batch and the last. */
const DEPARTED_BATCHES = 100;

const Endpoint = Type.Object({ host: Type.String(), port: Type.Integer({ minimum: 0, maximum: 65_535 }) });
const Ours = Type.Object({
  relation: Type.Optional(Type.Enum(["own", "friend"])),
  name: Type.Optional(Type.String()),
  state: Type.Enum(["heard", "verified", "suspect"]),
  root: Type.String(),
  hints: Type.Array(Type.Object({ endpoint: Endpoint, source: Type.Enum(["person", "lan"]) })),
  proven: Type.Optional(Endpoint),
  path: Type.Optional(Type.Enum([...pathKinds])),
  seenAt: Type.Optional(Type.Number()),
  measures: Type.Optional(
    Type.Object({
      rttMs: Type.Optional(Type.Number()),
      jitterMs: Type.Optional(Type.Number()),
      downBytesPerSecond: Type.Optional(Type.Number()),
      upBytesPerSecond: Type.Optional(Type.Number()),
      speedAt: Type.Optional(Type.Number()),
    }),
  ),
  anchor: Type.Boolean(),
});
type Ours = Static<typeof Ours>;
const checkOurs = Compile(Ours);

export class RowStore implements Disposable {
  readonly #deps: RowStoreDeps;
  readonly #dirty = new Set<NodeId>();
  readonly #listening: Disposable;
  #batches = 0;
  #failed = false;

  /** Makes the tables and puts what they hold into the IP table. @throws {Failure} version-differs, disk-full */
  constructor(deps: RowStoreDeps) {
    this.#deps = deps;
    migrate(deps.database, "table", STEPS);
    this.#load();
    this.#listening = deps.table.changes.on(({ id }) => void this.#dirty.add(id));
  }

  /** Writes what changed, every two seconds, until `signal` aborts; then once more. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        await this.#deps.clock.sleep(BATCH_MS, signal);
        this.flush();
      }
    } finally {
      this.#batches = 0;
      this.flush();
    }
  }

  /** Puts what a person decided on disk now. @throws {Failure} disk-full; what could not be written stays to be written */
  keep(): void {
    inTransaction(this.#deps.database, () => this.#write(false));
    this.#dirty.clear();
  }

  /** @throws {Failure} disk-full */
  forget(id: NodeId): void {
    const { database } = this.#deps;
    inTransaction(database, () => database.prepare("DELETE FROM table_rows WHERE id = ?").run(id));
  }

  /** Whether something waits for room on the disk. */
  get unwritten(): boolean {
    return this.#failed;
  }

  /** Writes what changed now. A full disk keeps it for later. */
  flush(): void {
    const departed = this.#batches % DEPARTED_BATCHES === 0;
    if (this.#dirty.size === 0 && !departed) return;
    this.#batches++;
    try {
      inTransaction(this.#deps.database, () => this.#write(departed));
      this.#dirty.clear();
      if (this.#failed) this.#deps.log.info("the IP table is written again");
      this.#failed = false;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (!this.#failed) this.#deps.log.warn("the IP table could not be written", { reason: error.message });
      this.#failed = true;
    }
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }

  #write(departed: boolean): void {
    const { database, table } = this.#deps;
    const save = database.prepare("INSERT OR REPLACE INTO table_rows (id, body, signature, ours) VALUES (?, ?, ?, ?)");
    const drop = database.prepare("DELETE FROM table_rows WHERE id = ?");
    for (const id of this.#dirty) {
      const row = table.get(id);
      if (row === undefined) drop.run(id);
      else save.run(id, row.signed?.body ?? null, row.signed?.signature ?? null, JSON.stringify(oursOf(row)));
    }
    if (!departed) return;
    database.exec("DELETE FROM table_departed");
    const remember = database.prepare("INSERT OR REPLACE INTO table_departed (id, seq) VALUES (?, ?)");
    for (const { id, seq } of table.departed.seqs()) remember.run(id, seq);
  }

  #load(): void {
    const { database, table, log, clock } = this.#deps;
    let unreadable = 0;
    const rows: Row[] = [];
    for (const line of database.prepare("SELECT id, body, signature, ours FROM table_rows").iterate()) {
      const row = this.#readRow(line);
      if (row === undefined) unreadable++;
      else rows.push(row);
    }
    table.restore(rows);
    const seqs = database.prepare("SELECT id, seq FROM table_departed").all();
    table.departed.restore(
      seqs.map((line) => ({ id: String(line["id"]) as NodeId, seq: Number(line["seq"]) })),
      clock.now(),
    );
    if (unreadable > 0) log.warn("rows of the IP table could not be read", { unreadable });
  }

  #readRow(line: Record<string, unknown>): Row | undefined {
    const { id, body, signature, ours } = line;
    if (typeof id !== "string" || !isNodeId(id) || typeof ours !== "string") return undefined;
    const known = parse(ours);
    if (known === undefined) return undefined;
    const signed = typeof body === "string" && typeof signature === "string" ? { body, signature } : undefined;
    return this.#deps.table.remake(id, known, signed);
  }
}

function oursOf(row: Row): Ours {
  const { relation, name, state, root, hints, proven, path, seenAt, measures, anchor } = row;
  return {
    state,
    root,
    anchor,
    hints: [...hints],
    ...(relation === undefined ? {} : { relation }),
    ...(name === undefined ? {} : { name }),
    ...(proven === undefined ? {} : { proven }),
    ...(path === undefined ? {} : { path }),
    ...(seenAt === undefined ? {} : { seenAt }),
    ...(measures === undefined ? {} : { measures }),
  };
}

function parse(text: string): Ours | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return checkOurs.Check(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
