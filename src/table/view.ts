/** A row as people and scripts see it: `p2prc ls --json`. */

import { formatEndpoint, type NodeId, type NodeRecord, rank, shownName } from "../core/index.ts";
import type { NodeRow } from "./contract.ts";
import type { NodeTable } from "./node-table.ts";
import type { Row } from "./row.ts";

export interface ViewDeps {
  readonly table: NodeTable;
  readonly isVisiting: (id: NodeId) => boolean;
  readonly nameOf: (id: NodeId) => string;
  /** What this node granted: undefined where nothing. */
  readonly grantOf: (id: NodeId) => { readonly expires?: string } | undefined;
  readonly wallTime: () => number;
}

export function viewRow(deps: ViewDeps, row: Row): NodeRow {
  const { record } = row;
  const dialable = deps.table.dialable(row);
  const optional = {
    claimedName: record?.name,
    version: record?.version,
    resources: record?.resources,
    path: row.path,
    ...viewMeasures(row),
    grant: deps.grantOf(row.id),
    lastSeen: row.seenAt === undefined ? undefined : new Date(row.seenAt).toISOString(),
  };
  return {
    ...present(optional),
    ...viewRecord(record),
    name: nameOf(row),
    id: row.id,
    relation: row.relation ?? "stranger",
    state: stateOf(deps, row),
    addresses: [...new Set(dialable.endpoints.map((endpoint) => endpoint.host))],
    port: dialable.endpoints[0]?.port ?? record?.port ?? 0,
    via: [...dialable.via],
    viaNames: dialable.via.map(deps.nameOf),
    rank: ranked(deps, row),
  };
}

/** What is shown of a node whose record did not come yet, too. */
function viewRecord(record: NodeRecord | undefined): Pick<NodeRow, "nat" | "lends" | "labels" | "info"> {
  if (record === undefined) return { nat: "unknown", lends: false, labels: [], info: "" };
  const { nat, lends, labels, info } = record;
  return { nat, lends, labels, info };
}

/** Not to more digits than mean anything: microseconds, bytes. */
function viewMeasures({ measures = {} }: Row) {
  const { rttMs, jitterMs, downBytesPerSecond, upBytesPerSecond } = measures;
  return {
    rttMs: rounded(rttMs, 1000),
    jitterMs: rounded(jitterMs, 1000),
    downBytesPerSecond: rounded(downBytesPerSecond, 1),
    upBytesPerSecond: rounded(upBytesPerSecond, 1),
  };
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** Without what is undefined: a field that is not known is absent. */
function present<T extends object>(fields: T): Present<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Present<T>;
}

function stateOf({ isVisiting }: ViewDeps, row: Row): NodeRow["state"] {
  return row.unclear || (row.state !== "verified" && isVisiting(row.id)) ? "trying" : row.state;
}

function ranked(deps: ViewDeps, row: Row): NodeRow["rank"] {
  const { score, parts } = rank({
    ...row.measures,
    joined: row.relation !== undefined,
    state: stateOf(deps, row),
    silentMs: row.seenAt === undefined ? undefined : deps.wallTime() - row.seenAt,
  });
  return { score, parts: [...parts] };
}

function rounded(value: number | undefined, parts: number): number | undefined {
  return value === undefined ? undefined : Math.round(value * parts) / parts;
}

/** For words that name it: errors, progress. */
export function nameOf(row: Row): string {
  return shownName({ id: row.id, name: row.name, claimedName: row.record?.name });
}

/** What a person may type for it. */
export function namedOf(table: NodeTable, row: Row) {
  return {
    row,
    id: row.id,
    joined: row.relation !== undefined,
    name: row.name,
    claimedName: row.record?.name,
    hosts: table.dialable(row).endpoints.flatMap((endpoint) => [endpoint.host, formatEndpoint(endpoint)]),
  };
}
