/**
 * The rows and the few ways in which they change: each change is counted, and told to whoever listens.
 *
 * What a row is, where it may be dialled and where it counts is decided here; when rows come and go is decided
 * by NodeTable and RecordIntake.
 */

import { type Clock, type Random, Topic } from "../base/index.ts";
import {
  type AllowedNetworks,
  type Endpoint,
  formatEndpoint,
  isNearby,
  localNameFor,
  mayDialGossiped,
  type NodeId,
} from "../core/index.ts";
import type { Dialable } from "../network/index.ts";
import { Capacity } from "./capacity.ts";
import { Departed } from "./departed.ts";
import { fingerprint, hashText, mix } from "./known-filter.ts";
import type { PlaceCaps, Whereabouts } from "./places.ts";
import {
  type Hint,
  type HintSource,
  newRow,
  type Row,
  type RowChange,
  recordEndpoints,
  type VersionedRecord,
} from "./row.ts";
import { RowIndex } from "./row-index.ts";

export interface RowsDeps {
  readonly allowed: AllowedNetworks;
  readonly holdsGrant: (id: NodeId) => boolean;
  readonly clock: Clock;
  readonly random: Random;
}

export interface RowsOptions {
  readonly maxRows: number;
  readonly caps: PlaceCaps;
}

const NOBODY: readonly NodeId[] = [];
const MAX_HINTS = { person: 8, lan: 2 } as const;
const MAX_ENDPOINTS = 12;

export class Rows {
  readonly changes = new Topic<RowChange>();
  readonly departed = new Departed();
  readonly index: RowIndex;
  readonly capacity: Capacity;
  readonly #deps: RowsDeps;
  readonly #secret: number;

  constructor(deps: RowsDeps, options: RowsOptions) {
    this.#deps = deps;
    this.#secret = Math.floor(deps.random.next() * 2 ** 32);
    const whereabouts = (row: Row) => this.whereabouts(row);
    const epoch = Buffer.from(deps.random.bytes(8)).toString("hex");
    this.index = new RowIndex({ whereabouts, passable: isPassable }, epoch);
    this.capacity = new Capacity({ index: this.index, whereabouts, isExempt: (row) => this.isExempt(row) }, options);
  }

  /** A row that is not in the table yet. */
  make(id: NodeId, root: string): Row {
    return newRow(id, { root, order: mix(hashText(id) ^ this.#secret) });
  }

  insert(row: Row): Row {
    this.index.add(row);
    this.capacity.noteAdded(row);
    this.changes.publish({ id: row.id, kind: "changed" });
    return row;
  }

  change(row: Row, mutate: () => void): void {
    this.index.change(row, mutate);
    this.capacity.noteAdded(row);
    this.changes.publish({ id: row.id, kind: "changed" });
  }

  remove(row: Row): void {
    this.index.remove(row);
    this.departed.add(row, this.#deps.clock.now());
    this.changes.publish({ id: row.id, kind: "removed" });
  }

  /** For a row that is not in the table, or within `change`. */
  setRecord(row: Row, { signed, record }: VersionedRecord): void {
    row.signed = signed;
    row.record = record;
    row.mark = fingerprint(record);
    row.told = recordEndpoints(record).filter((endpoint) => mayDialGossiped(endpoint, this.#deps.allowed));
  }

  /** What a person said stays when the LAN is noisy. */
  hint(row: Row, endpoints: readonly Endpoint[], source: HintSource): void {
    const fresh = endpoints.map((endpoint) => ({ endpoint, source }));
    if (!fresh.some((hint) => !row.hints.some((old) => isSameHint(old, hint)))) return;
    const all = [...fresh, ...row.hints.filter((old) => !fresh.some((hint) => isSameHint(old, hint)))];
    const of = (which: HintSource) => all.filter((hint) => hint.source === which).slice(0, MAX_HINTS[which]);
    this.change(row, () => {
      row.hints = [...of("person"), ...of("lan")];
      row.nextTryAt = 0;
    });
  }

  /** Where to dial it, best first: where it answered last, what a person said, its record, the LAN. */
  dialable(row: Row): Dialable {
    const hinted = (source: HintSource) =>
      row.hints.filter((hint) => hint.source === source).map((hint) => hint.endpoint);
    const proven = row.proven === undefined ? [] : [row.proven];
    const all = [...proven, ...hinted("person"), ...row.told, ...hinted("lan")];
    const unique = new Map(all.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
    return { id: row.id, endpoints: [...unique.values()].slice(0, MAX_ENDPOINTS), via: row.record?.via ?? NOBODY };
  }

  isNearby(host: string): boolean {
    return isNearby(host, this.#deps.allowed);
  }

  isExempt(row: Row): boolean {
    return row.relation !== undefined || this.#deps.holdsGrant(row.id);
  }

  /** Where it counts towards the caps: where it answered, else where it says it is, else behind whom. */
  whereabouts(row: Row): Whereabouts | undefined {
    if (this.isExempt(row)) return undefined;
    const { record, proven } = row;
    const told = proven !== undefined && row.state !== "heard" ? [proven.host] : (record?.addresses ?? []);
    const isNear = (address: string) => this.isNearby(address);
    const addresses = told.some(isNear) ? told.filter((address) => !isNear(address)) : told;
    return { addresses, via: told.length === 0 && record !== undefined ? record.via : NOBODY };
  }

  /** A joined node is named once, by the first claim that is heard. A later claim is shown, and never followed. */
  nameFor(row: Row, wish?: string): string | undefined {
    const claimed = wish ?? row.record?.name;
    return claimed === undefined ? undefined : localNameFor(claimed, row.id, this.namesTaken());
  }

  namesTaken(except?: Row): Set<string> {
    const names = new Set<string>();
    for (const row of this.index.joined) if (row !== except && row.name !== undefined) names.add(row.name);
    return names;
  }
}

/** Only what this node verified itself, and where others may dial it. */
function isPassable(row: Row): boolean {
  return row.state === "verified" && row.record !== undefined && row.record.via.length + row.told.length > 0;
}

function isSameHint(a: Hint, b: Hint): boolean {
  return a.source === b.source && formatEndpoint(a.endpoint) === formatEndpoint(b.endpoint);
}
