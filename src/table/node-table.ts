/**
 * The IP table: one row per node, and the rules by which rows come, change and go.
 *
 * A record with a higher `seq` takes the place of a lower one, and nothing else changes what a node says of
 * itself. Strangers are few per address; what this node joined is never crowded out. Only this node's own failed
 * tries remove a row. No I/O here: time and chance are given.
 */

import { type Clock, type Random, Topic } from "../base/index.ts";
import {
  type AllowedNetworks,
  type Endpoint,
  Failure,
  formatEndpoint,
  localNameFor,
  type NodeId,
  type NodeRecord,
  parseLocalName,
  type SignedRecord,
} from "../core/index.ts";
import type { Dialable, Path, PathKind } from "../network/index.ts";
import type { Departed } from "./departed.ts";
import { failRow, isGone } from "./liveness.ts";
import type { PlaceCaps } from "./places.ts";
import { type Learned, RecordIntake, type RecordRules, type Source } from "./record-intake.ts";
import type { Measures, Relation, Row, RowChange, VersionedRecord } from "./row.ts";
import type { RowIndex } from "./row-index.ts";
import { Rows } from "./rows.ts";

export interface NodeTableDeps {
  readonly id: NodeId;
  /** This node's own record, once it has one. */
  readonly self: () => VersionedRecord | undefined;
  readonly records: RecordRules;
  readonly allowed: AllowedNetworks;
  readonly holdsGrant: (id: NodeId) => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

export interface NodeTableOptions {
  /** @default 8192 */
  readonly maxRows?: number;
  /** Strangers that share a place. @default 2 per address, 10 per site, 1/32 of maxRows per provider, 64 per relay */
  readonly caps?: Partial<PlaceCaps>;
}

export interface Joining {
  readonly id: NodeId;
  readonly relation: Relation;
  /** A wish. The name it gets is told apart from others. */
  readonly name?: string;
  readonly endpoints: readonly Endpoint[];
}

/** Addresses that never answered are tried once a minute at most. */
const POSTPONE_MS = 60_000;
const POSTPONED_MS = 3_600_000;
const MAX_LAN_ROWS = 64;

export class NodeTable {
  /** Somebody passes on a record that this node's own key signed, at least as new as its own, and other. */
  readonly echoes = new Topic<NodeRecord>();
  readonly #deps: NodeTableDeps;
  readonly #maxRows: number;
  readonly #rows: Rows;
  readonly #intake: RecordIntake;
  /** The last answer, and the last one of somebody else. */
  #answered: { readonly by: NodeId; readonly at: number; readonly otherAt: number } | undefined;

  constructor(deps: NodeTableDeps, options: NodeTableOptions = {}) {
    const { maxRows = 8192, caps } = options;
    this.#deps = deps;
    this.#maxRows = maxRows;
    const usual = { host: 2, site: 10, provider: Math.max(10, maxRows >> 5), relay: 64 };
    this.#rows = new Rows(deps, { maxRows, caps: { ...usual, ...caps } });
    this.#intake = new RecordIntake({ ...deps, rows: this.#rows, echoes: this.echoes });
  }

  get changes(): Topic<RowChange> {
    return this.#rows.changes;
  }

  get departed(): Departed {
    return this.#rows.departed;
  }

  get(id: NodeId): Row | undefined {
    return this.#rows.index.get(id);
  }

  /** For reading only: rows change through the table. */
  get rows(): Pick<
    RowIndex,
    "all" | "joined" | "suspects" | "heard" | "counts" | "size" | "rotate" | "passed" | "heardLog"
  > {
    return this.#rows.index;
  }

  /** Where to dial it, best first: where it answered last, what a person said, its record, the LAN. */
  dialable(row: Row): Dialable {
    return this.#rows.dialable(row);
  }

  /** Loopback, LAN, and networks that a person named. */
  isNearby(host: string): boolean {
    return this.#rows.isNearby(host);
  }

  /** Joined nodes and holders of a grant: caps and rations are not for them. */
  isExempt(row: Row): boolean {
    return this.#rows.isExempt(row);
  }

  learn(records: Iterable<SignedRecord>, source: Source): Learned {
    return this.#intake.learn(records, source);
  }

  /** Something at `endpoint` on the LAN says that it is `id`. @returns the row, where there is room for it */
  sight(id: NodeId, endpoint: Endpoint): Row | undefined {
    if (id === this.#deps.id) return undefined;
    const row = this.get(id) ?? this.#admitSighted(id);
    if (row !== undefined) this.#rows.hint(row, [endpoint], "lan");
    return row;
  }

  /** `id` proved its key on a link. @returns whether there is room for it among the verified ones */
  answered(id: NodeId, path: Path): boolean {
    this.noteAnswer(id);
    const row = this.get(id);
    if (row === undefined) return false;
    const proven = this.dialable(row).endpoints.find((endpoint) => formatEndpoint(endpoint) === path.remote);
    if (row.state === "heard" && !this.#hasRoomVerified(row, proven)) {
      this.#rows.remove(row);
      return false;
    }
    const { clock } = this.#deps;
    this.#rows.change(row, () => {
      row.state = "verified";
      row.proven = proven;
      row.path = path.kind;
      row.failures = 0;
      row.nextTryAt = 0;
      row.unclear = false;
      row.postponedAt = undefined;
      row.seenAt = clock.wallTime();
      row.checkedAt = clock.now();
    });
    return true;
  }

  /** Clock.now of the last answer from anybody. */
  get lastAnswerAt(): number {
    return this.#answered?.at ?? Number.NEGATIVE_INFINITY;
  }

  /** Somebody answered something: this end is connected. */
  noteAnswer(by: NodeId): void {
    const last = this.#answered;
    const otherAt = last === undefined || last.by === by ? last?.otherAt : last.at;
    this.#answered = { by, at: this.#deps.clock.now(), otherAt: otherAt ?? Number.NEGATIVE_INFINITY };
  }

  /** A try that began at `startedAt` (Clock.now) came to nothing. */
  failed(id: NodeId, startedAt: number): void {
    const row = this.get(id);
    if (row === undefined) return;
    const now = this.#deps.clock.now();
    const last = this.#answered;
    const othersAnsweredAt = (last?.by === id ? last.otherAt : last?.at) ?? Number.NEGATIVE_INFINITY;
    this.#rows.change(row, () => failRow(row, { now, startedAt, othersAnsweredAt, random: this.#deps.random }));
    if (isGone(row, now)) this.#rows.remove(row);
  }

  /** Nobody may be dialled for this row now. One that waits in vain for an hour leaves. */
  postpone(row: Row): void {
    if (row.state !== "heard" || this.isExempt(row)) return;
    const now = this.#deps.clock.now();
    row.nextTryAt = now + POSTPONE_MS;
    row.postponedAt ??= now;
    if (now - row.postponedAt >= POSTPONED_MS) this.#rows.remove(row);
  }

  /** What this node measured itself. */
  note(id: NodeId, measures: Measures): void {
    const row = this.get(id);
    if (row === undefined) return;
    row.measures = { ...row.measures, ...measures };
    this.changes.publish({ id, kind: "changed" });
  }

  /** The way to it has become another one. */
  reachedBy(id: NodeId, kind: PathKind): void {
    const row = this.get(id);
    if (row?.state !== "verified" || row.path === kind) return;
    row.path = kind;
    this.changes.publish({ id, kind: "changed" });
  }

  setAnchor(row: Row, anchor: boolean): void {
    if (row.anchor === anchor) return;
    row.anchor = anchor;
    this.changes.publish({ id: row.id, kind: "changed" });
  }

  /** Takes a node that was given up back, for one more try. */
  revive(): Row | undefined {
    const lost = this.departed.takeLost(this.#deps.clock.now());
    if (lost === undefined || this.get(lost.record.id) !== undefined) return undefined;
    this.#intake.admit(lost, { kind: "announced", by: lost.record.id });
    const row = this.get(lost.record.id);
    if (row === undefined) return undefined;
    row.seenAt = this.#deps.clock.wallTime(); // so that it is remembered again when the try fails
    row.failures = 2;
    return row;
  }

  /**
   * The node becomes one of the person's own, or a friend. Joining again keeps its name.
   * @throws {Failure} conflict when it is this node
   */
  join({ id, relation, name, endpoints }: Joining): Row {
    if (id === this.#deps.id) throw new Failure("conflict", "that is this node itself");
    const row = this.get(id) ?? this.#rows.insert(this.#rows.make(id, id));
    this.#rows.change(row, () => {
      row.root = id;
      row.relation = relation;
      row.name ??= this.#rows.nameFor(row, name);
    });
    this.#rows.hint(row, endpoints, "person");
    return row;
  }

  /** @throws {Failure} bad-name, conflict */
  rename(row: Row, text: string): void {
    const name = parseLocalName(text);
    if (localNameFor(name, row.id, this.#rows.namesTaken(row)) !== name) {
      throw new Failure("conflict", `another node is called "${name}" here`, {
        hint: "choose another name; `p2prc ls` lists the taken ones",
      });
    }
    this.#rows.change(row, () => {
      row.name = name;
    });
  }

  /** Takes back what `join` or `rename` changed: `before` is a copy of the row, undefined where there was none. */
  undo(id: NodeId, before: Row | undefined): void {
    const row = this.get(id);
    if (row === undefined) return;
    if (before === undefined) {
      this.#rows.remove(row);
      return;
    }
    const { relation, name, root, hints } = before;
    this.#rows.change(row, () => Object.assign(row, { relation, name, root, hints }));
  }

  /** The row leaves the table. Should others tell of the node again, it is a stranger. */
  remove(row: Row): void {
    this.#rows.remove(row);
  }

  /** Puts back what an earlier life of the daemon knew. */
  restore(rows: Iterable<Row>): void {
    for (const row of rows) {
      if (row.id === this.#deps.id || this.get(row.id) !== undefined) continue;
      if (this.rows.size < this.#maxRows || row.relation !== undefined) this.#rows.index.add(row);
    }
  }

  /** A row as it was in an earlier life. Undefined when its record cannot be read any more, and nobody joined it. */
  remake(
    id: NodeId,
    ours: Partial<Row> & { readonly root: string },
    signed: SignedRecord | undefined,
  ): Row | undefined {
    const row = Object.assign(this.#rows.make(id, ours.root), ours);
    const next = signed === undefined ? undefined : this.#intake.read(signed);
    if (next !== undefined && next.record.id === id) this.#rows.setRecord(row, next);
    return row.record === undefined && row.relation === undefined ? undefined : row;
  }

  #hasRoomVerified(row: Row, proven: Endpoint | undefined): boolean {
    const where = this.#rows.whereabouts({ ...row, state: "verified", proven });
    const room = this.#rows.capacity.forVerified(row, where);
    if (room.kind === "taken") this.#rows.remove(room.by);
    return room.kind !== "none";
  }

  #admitSighted(id: NodeId): Row | undefined {
    let beside = 0;
    for (const row of this.rows.all()) if (row.root === "lan") beside++;
    if (beside >= MAX_LAN_ROWS) return undefined;
    const row = this.#rows.make(id, "lan");
    const room = this.#rows.capacity.forHeard(row);
    if (room.kind === "none") return undefined;
    if (room.kind === "taken") this.#rows.remove(room.by);
    return this.#rows.insert(row);
  }
}
