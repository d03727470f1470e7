/**
 * The IP table: one row per node, and the rules by which rows come, change and go.
 *
 * A record with a higher `seq` takes the place of a lower one, and nothing else changes what a node says of
 * itself. Cheap checks come before the signature. Strangers are few per address; what this node joined is
 * never crowded out. Only this node's own failed tries remove a row. No I/O here: time and chance are given.
 */

import { type Clock, type Random, Topic } from "../base/index.ts";
import {
  type AllowedNetworks,
  type Endpoint,
  Failure,
  formatEndpoint,
  isNearby,
  localNameFor,
  mayDialGossiped,
  type NodeId,
  type NodeRecord,
  parseLocalName,
  type SignedRecord,
} from "../core/index.ts";
import type { Dialable, Path } from "../network/index.ts";
import { Capacity } from "./capacity.ts";
import { Departed } from "./departed.ts";
import { fingerprint, hashText, mix } from "./known-filter.ts";
import { failRow, isGone } from "./liveness.ts";
import type { PlaceCaps, Whereabouts } from "./places.ts";
import { RowIndex } from "./row-index.ts";
import {
  type HintSource,
  isStillThere,
  type Measures,
  newRow,
  type Relation,
  type Row,
  type RowChange,
  recordEndpoints,
  supersedes,
  type VersionedRecord,
} from "./row.ts";

/** How a record is read and checked. Simulations bring cheaper ones. */
export interface RecordRules {
  /** @throws {Failure} bad-record */
  read(signed: SignedRecord): NodeRecord;
  isSigned(signed: SignedRecord, id: NodeId): boolean;
}

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

/** Who told of a record. A person's word begins a lineage of its own. */
export type Source =
  | { readonly kind: "node"; readonly id: NodeId }
  /** Of itself, on a link that it opened. */
  | { readonly kind: "announced"; readonly by: NodeId }
  | { readonly kind: "person" };

/** What became of the records that somebody sent. */
export interface Learned {
  /** Nodes that were not in the table before. */
  readonly freshIds: NodeId[];
  fresh: number;
  changed: number;
  known: number;
  /** Sound, but at an address that gossip may not name. */
  useless: number;
  /** Sound, but there are enough from that place, or enough at all. */
  crowded: number;
  bad: number;
}

type Outcome = Exclude<keyof Learned, "freshIds">;

export interface Joining {
  readonly id: NodeId;
  readonly relation: Relation;
  /** A wish. The name it gets is told apart from others. */
  readonly name?: string;
  readonly endpoints: readonly Endpoint[];
}

/** After so many bad records nobody reads the rest of a reply. */
const MAX_BAD_RECORDS = 16;
/** Addresses that never answered are tried once a minute at most. */
const POSTPONE_MS = 60_000;
const POSTPONED_MS = 3_600_000;
const NOBODY: readonly NodeId[] = [];
const MAX_HINTS = 8;
const MAX_ENDPOINTS = 12;
const MAX_LAN_ROWS = 64;

export class NodeTable {
  readonly changes = new Topic<RowChange>();
  /** Somebody passes on a record that this node's own key signed, at least as new as its own, and other. */
  readonly echoes = new Topic<NodeRecord>();
  readonly departed = new Departed();
  readonly #deps: NodeTableDeps;
  readonly #index: RowIndex;
  readonly #capacity: Capacity;
  readonly #maxRows: number;
  readonly #secret: number;
  /** The last answer, and the last one of somebody else. */
  #answered: { readonly by: NodeId; readonly at: number; readonly otherAt: number } | undefined;

  constructor(deps: NodeTableDeps, options: NodeTableOptions = {}) {
    const { maxRows = 8192, caps } = options;
    this.#deps = deps;
    this.#maxRows = maxRows;
    this.#secret = Math.floor(deps.random.next() * 2 ** 32);
    const whereabouts = (row: Row) => this.#whereabouts(row);
    const epoch = Buffer.from(deps.random.bytes(8)).toString("hex");
    this.#index = new RowIndex({ whereabouts, passable: (row) => this.#isPassable(row) }, epoch);
    this.#capacity = new Capacity(
      { index: this.#index, whereabouts, isExempt: (row) => this.isExempt(row) },
      { maxRows, caps: { host: 2, site: 10, provider: Math.max(10, maxRows >> 5), relay: 64, ...caps } },
    );
  }

  get(id: NodeId): Row | undefined {
    return this.#index.get(id);
  }

  /** For reading only: rows change through the table. */
  get rows(): Pick<RowIndex, "all" | "joined" | "suspects" | "heard" | "counts" | "size" | "rotate" | "passed" | "heardLog"> {
    return this.#index;
  }

  /** Where to dial it, best first: where it answered last, what a person and the LAN said, what its record says. */
  dialable(row: Row): Dialable {
    const hinted = (source: HintSource) => row.hints.filter((hint) => hint.source === source).map((hint) => hint.endpoint);
    const proven = row.proven === undefined ? [] : [row.proven];
    const all = [...proven, ...hinted("person"), ...hinted("lan"), ...row.told];
    const unique = new Map(all.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
    return { id: row.id, endpoints: [...unique.values()].slice(0, MAX_ENDPOINTS), via: row.record?.via ?? [] };
  }

  isNearby(host: string): boolean {
    return isNearby(host, this.#deps.allowed);
  }

  /** Joined nodes and holders of a grant: caps and rations are not for them. */
  isExempt(row: Row): boolean {
    return row.relation !== undefined || this.#deps.holdsGrant(row.id);
  }

  learn(records: Iterable<SignedRecord>, source: Source): Learned {
    const learned: Learned = { freshIds: [], fresh: 0, changed: 0, known: 0, useless: 0, crowded: 0, bad: 0 };
    for (const signed of records) {
      learned[this.#learnOne(signed, source, learned.freshIds)]++;
      if (learned.bad >= MAX_BAD_RECORDS) break;
    }
    return learned;
  }

  /** Something at `endpoint` on the LAN says that it is `id`. @returns the row, where there is room for it */
  sight(id: NodeId, endpoint: Endpoint): Row | undefined {
    if (id === this.#deps.id) return undefined;
    const row = this.#index.get(id) ?? this.#admitSighted(id);
    if (row !== undefined) this.#hint(row, [endpoint], "lan");
    return row;
  }

  /** `id` proved its key on a link. @returns whether there is room for it among the verified ones */
  answered(id: NodeId, path: Path): boolean {
    const row = this.#index.get(id);
    this.noteAnswer(id);
    if (row === undefined) return false;
    const proven = this.dialable(row).endpoints.find((endpoint) => formatEndpoint(endpoint) === path.remote);
    if (row.state === "heard") {
      const room = this.#capacity.forVerified(row, this.#whereabouts({ ...row, state: "verified", proven }));
      if (room.kind === "none") this.#remove(row);
      if (room.kind === "none") return false;
      if (room.kind === "taken") this.#remove(room.by);
    }
    this.#change(row, () => {
      row.state = "verified";
      row.proven = proven;
      row.path = path.kind;
      row.failures = 0;
      row.nextTryAt = 0;
      row.unclear = false;
      row.postponedAt = undefined;
      row.seenAt = this.#deps.clock.wallTime();
      row.checkedAt = this.#deps.clock.now();
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
    const row = this.#index.get(id);
    if (row === undefined) return;
    const now = this.#deps.clock.now();
    const last = this.#answered;
    const othersAnsweredAt = (last?.by === id ? last.otherAt : last?.at) ?? Number.NEGATIVE_INFINITY;
    this.#change(row, () => failRow(row, { now, startedAt, othersAnsweredAt, random: this.#deps.random }));
    if (isGone(row, now)) this.#remove(row);
  }

  /** Nobody may be dialled for this row now. One that waits in vain for an hour leaves. */
  postpone(row: Row): void {
    if (row.state !== "heard" || this.isExempt(row)) return;
    const now = this.#deps.clock.now();
    row.nextTryAt = now + POSTPONE_MS;
    row.postponedAt ??= now;
    if (now - row.postponedAt >= POSTPONED_MS) this.#remove(row);
  }

  /** What this node measured itself. */
  note(id: NodeId, measures: Measures): void {
    const row = this.#index.get(id);
    if (row === undefined) return;
    row.measures = { ...row.measures, ...measures };
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
    if (lost === undefined || this.#index.get(lost.record.id) !== undefined) return undefined;
    this.#admit(lost, { kind: "announced", by: lost.record.id });
    const row = this.#index.get(lost.record.id);
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
    const row = this.#index.get(id) ?? this.#insert(this.#make(id, id));
    this.#change(row, () => {
      row.root = id;
      row.relation = relation;
      row.name ??= this.#nameFor(row, name);
    });
    this.#hint(row, endpoints, "person");
    return row;
  }

  /** @throws {Failure} bad-name, conflict */
  rename(row: Row, text: string): void {
    const name = parseLocalName(text);
    const others = namesOf(this.#index.joined, row);
    if (localNameFor(name, row.id, others) !== name) {
      throw new Failure("conflict", `another node is called "${name}" here`, {
        hint: "choose another name; `p2prc ls` lists the taken ones",
      });
    }
    this.#change(row, () => {
      row.name = name;
    });
  }

  /** The row leaves the table. Should others tell of the node again, it is a stranger. */
  remove(row: Row): void {
    this.#remove(row);
  }

  /** Puts back what an earlier life of the daemon knew. */
  restore(rows: Iterable<Row>): void {
    for (const row of rows) {
      if (row.id === this.#deps.id || this.#index.get(row.id) !== undefined) continue;
      if (this.#index.size < this.#maxRows || row.relation !== undefined) this.#index.add(row);
    }
  }

  /** A row as it was in an earlier life. Undefined when its record cannot be read any more, and nobody joined it. */
  remake(id: NodeId, ours: Partial<Row> & { readonly root: string }, signed: SignedRecord | undefined): Row | undefined {
    const row = Object.assign(this.#make(id, ours.root), ours);
    const next = signed === undefined ? undefined : this.#read(signed);
    if (next !== undefined && next.record.id === id) this.#setRecord(row, next);
    return row.record === undefined && row.relation === undefined ? undefined : row;
  }

  #learnOne(signed: SignedRecord, source: Source, freshIds: NodeId[]): Outcome {
    const next = this.#read(signed);
    if (next === undefined) return "bad";
    const { id } = next.record;
    if (source.kind === "announced" && source.by !== id) return "bad";
    if (id === this.#deps.id) return this.#echo(next);
    const row = this.#index.get(id);
    if (row === undefined) {
      const outcome = this.#admit(next, source);
      if (outcome === "fresh") freshIds.push(id);
      return outcome;
    }
    if (row.root === "announced" && source.kind !== "announced") {
      this.#change(row, () => {
        row.root = this.#rootFor(id, source);
      });
    }
    if (hasRecord(row) && !supersedes(next, row)) return "known";
    if (!this.#deps.records.isSigned(signed, id)) return "bad";
    this.#change(row, () => {
      if (row.state === "verified" && !isStillThere(row, next.record)) row.state = "heard";
      this.#setRecord(row, next);
      if (row.relation !== undefined) row.name ??= this.#nameFor(row);
    });
    return "changed";
  }

  #read(signed: SignedRecord): VersionedRecord | undefined {
    try {
      return { signed, record: this.#deps.records.read(signed) };
    } catch (error) {
      if (error instanceof Failure) return undefined;
      throw error;
    }
  }

  #echo(next: VersionedRecord): Outcome {
    const own = this.#deps.self();
    if (own === undefined || !supersedes(next, own)) return "known";
    if (!this.#deps.records.isSigned(next.signed, this.#deps.id)) return "bad";
    this.echoes.publish(next.record);
    return "known";
  }

  #admit(next: VersionedRecord, source: Source): Outcome {
    const { id, seq, via } = next.record;
    if (this.departed.refuses(id, seq, this.#deps.clock.now())) return "known";
    const row = this.#make(id, this.#rootFor(id, source));
    this.#setRecord(row, next);
    if (this.dialable(row).endpoints.length + via.length === 0) return "useless";
    const room = this.#capacity.forHeard(row);
    if (room.kind === "none") return "crowded";
    if (!this.#deps.records.isSigned(next.signed, id)) return "bad";
    if (room.kind === "taken") this.#remove(room.by);
    this.#insert(row);
    return "fresh";
  }

  #admitSighted(id: NodeId): Row | undefined {
    if ((this.#index.heard.get("lan")?.size ?? 0) >= MAX_LAN_ROWS) return undefined;
    const row = this.#make(id, "lan");
    const room = this.#capacity.forHeard(row);
    if (room.kind === "none") return undefined;
    if (room.kind === "taken") this.#remove(room.by);
    return this.#insert(row);
  }

  #rootFor(id: NodeId, source: Source): string {
    if (source.kind === "person") return id;
    return source.kind === "node" ? (this.#index.get(source.id)?.root ?? "announced") : source.kind;
  }

  #hint(row: Row, endpoints: readonly Endpoint[], source: HintSource): void {
    const fresh = endpoints.map((endpoint) => ({ endpoint, source }));
    const all = new Map([...fresh, ...row.hints].map((hint) => [`${hint.source} ${formatEndpoint(hint.endpoint)}`, hint]));
    if (all.size === row.hints.length) return;
    this.#change(row, () => {
      row.hints = [...all.values()].slice(0, MAX_HINTS);
      row.nextTryAt = 0;
    });
  }

  #setRecord(row: Row, { signed, record }: VersionedRecord): void {
    row.signed = signed;
    row.record = record;
    row.mark = fingerprint(record);
    row.told = recordEndpoints(record).filter((endpoint) => mayDialGossiped(endpoint, this.#deps.allowed));
  }

  /** A joined node is named once, by the first claim that is heard. A later claim is shown, and never followed. */
  #nameFor(row: Row, wish?: string): string | undefined {
    const claimed = wish ?? row.record?.name;
    return claimed === undefined ? undefined : localNameFor(claimed, row.id, namesOf(this.#index.joined));
  }

  /** Where it counts towards the caps: where it answered, else where it says it is, else behind whom. */
  #whereabouts(row: Row): Whereabouts | undefined {
    if (this.isExempt(row)) return undefined;
    const { record, proven } = row;
    const told = proven !== undefined && row.state !== "heard" ? [proven.host] : (record?.addresses ?? []);
    const addresses = told.some((address) => this.isNearby(address)) ? told.filter((address) => !this.isNearby(address)) : told;
    return { addresses, via: told.length === 0 && record !== undefined ? record.via : NOBODY };
  }

  /** Only what this node verified itself, and where others may dial it. */
  #isPassable(row: Row): boolean {
    if (row.state !== "verified" || row.record === undefined) return false;
    return row.record.via.length > 0 || row.told.length > 0;
  }

  #make(id: NodeId, root: string): Row {
    return newRow(id, { root, order: mix(hashText(id) ^ this.#secret) });
  }

  #insert(row: Row): Row {
    this.#index.add(row);
    this.#capacity.noteAdded(row);
    this.changes.publish({ id: row.id, kind: "changed" });
    return row;
  }

  #change(row: Row, mutate: () => void): void {
    this.#index.change(row, mutate);
    this.#capacity.noteAdded(row);
    this.changes.publish({ id: row.id, kind: "changed" });
  }

  #remove(row: Row): void {
    this.#index.remove(row);
    this.departed.add(row, this.#deps.clock.now());
    this.changes.publish({ id: row.id, kind: "removed" });
  }
}

function hasRecord(row: Row): row is Row & VersionedRecord {
  return row.signed !== undefined && row.record !== undefined;
}

function namesOf(rows: Iterable<Row>, except?: Row): Set<string> {
  const names = new Set<string>();
  for (const row of rows) if (row !== except && row.name !== undefined) names.add(row.name);
  return names;
}
