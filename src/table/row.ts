/**
 * One row of the IP table: what a node said of itself, and what this node knows of it.
 *
 * Rows are mutable and belong to NodeTable alone; everybody else reads them.
 */

import { canonicalAddress, type Endpoint, type NodeId, type NodeRecord, type SignedRecord } from "../core/index.ts";
import type { PathKind } from "../network/index.ts";
import type { Places, Whereabouts } from "./places.ts";

export type Relation = "own" | "friend";

/** heard: not dialled with success yet; verified: it answered and proved its key; suspect: it does not answer. */
export type State = "heard" | "verified" | "suspect";

/** Who told this node where the other one is. */
export type HintSource = "person" | "lan";

export interface Hint {
  readonly endpoint: Endpoint;
  readonly source: HintSource;
}

export interface Measures {
  readonly rttMs?: number;
  readonly jitterMs?: number;
  readonly downBytesPerSecond?: number;
  readonly upBytesPerSecond?: number;
  /** Wall time of the last speed test. */
  readonly speedAt?: number;
}

export interface Row {
  readonly id: NodeId;
  /** Absent for a node that somebody named and that did not answer yet. */
  signed: SignedRecord | undefined;
  record: NodeRecord | undefined;
  relation: Relation | undefined;
  /** Its name here. Joined nodes have one. */
  name: string | undefined;
  state: State;
  /** The first hop through which it came: a joined node's id, or `lan`, or `announced`. */
  root: string;
  /** Where a person, an invite or the LAN said it is. */
  hints: readonly Hint[];
  /** Where it answered last, when it was dialled there. */
  proven: Endpoint | undefined;
  path: PathKind | undefined;
  /** In a row, counted ones only. */
  failures: number;
  firstFailureAt: number;
  /** Clock.now of the next try. 0: any time. */
  nextTryAt: number;
  /** Since when (Clock.now) no try was allowed. */
  postponedAt: number | undefined;
  /** The last try failed, and so did everything else. */
  unclear: boolean;
  /** Wall time of its last answer. */
  seenAt: number | undefined;
  /** Clock.now of its last answer in this life of the daemon. */
  checkedAt: number;
  measures: Measures | undefined;
  /** Held one of the lasting outbound links. */
  anchor: boolean;
  /** When it was last changed in a way that others may hear of. 0: not passed on. */
  version: number;
  /** When its record came. 0: it has none. */
  heardVersion: number;
  /** The fingerprint of its record. */
  mark: number;
  /** The endpoints of its record that gossip may name, best first. */
  told: readonly Endpoint[];
  /** Where it is counted now towards the caps per place. */
  counted: { readonly places: Places; readonly where: Whereabouts } | undefined;
  /** Its place in a full table: low stays. Nobody outside can know it. */
  readonly order: number;
}

/** A node that changed, and whether it is still there. */
export interface RowChange {
  readonly id: NodeId;
  readonly kind: "changed" | "removed";
}

export function newRow(id: NodeId, { root, order }: { readonly root: string; readonly order: number }): Row {
  return {
    id,
    signed: undefined,
    record: undefined,
    relation: undefined,
    name: undefined,
    state: "heard",
    root,
    hints: [],
    proven: undefined,
    path: undefined,
    failures: 0,
    firstFailureAt: 0,
    nextTryAt: 0,
    postponedAt: undefined,
    unclear: false,
    seenAt: undefined,
    checkedAt: Number.NEGATIVE_INFINITY,
    measures: undefined,
    anchor: false,
    version: 0,
    heardVersion: 0,
    mark: 0,
    told: [],
    counted: undefined,
    order,
  };
}

/** The endpoints that its record names, best first, each address in its one spelling. */
export function recordEndpoints(record: NodeRecord | undefined): Endpoint[] {
  if (record === undefined || record.port === 0) return [];
  return record.addresses.map((host) => ({ host: canonicalAddress(host) ?? host, port: record.port }));
}

/** @returns whether `next` takes the place of `held`: the higher seq, and between equals always the same one. */
export function supersedes(next: VersionedRecord, held: VersionedRecord): boolean {
  if (next.record.seq !== held.record.seq) return next.record.seq > held.record.seq;
  if (next.signed.body !== held.signed.body) return next.signed.body > held.signed.body;
  return next.signed.signature > held.signed.signature;
}

export interface VersionedRecord {
  readonly signed: SignedRecord;
  readonly record: NodeRecord;
}

/** Whether a row that was verified may be taken for verified under its next record: where it answered is still named. */
export function isStillThere(row: Row, next: NodeRecord): boolean {
  const { proven } = row;
  if (proven === undefined) return row.record === undefined || row.record.via.join() === next.via.join();
  if (row.hints.some((hint) => isSame(hint.endpoint, proven))) return true;
  return recordEndpoints(next).some((endpoint) => isSame(endpoint, proven));
}

function isSame(a: Endpoint, b: Endpoint): boolean {
  return a.host === b.host && a.port === b.port;
}
