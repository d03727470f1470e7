/** A row as people and scripts see it: `p2prc ls --json`. */

import { formatEndpoint, type NodeId, rank, shownName } from "../core/index.ts";
import type { NodeRow } from "./contract.ts";
import type { NodeTable } from "./node-table.ts";
import type { Row } from "./row.ts";

export interface ViewDeps {
  readonly table: NodeTable;
  readonly isVisiting: (id: NodeId) => boolean;
  /** What this node granted: undefined where nothing. */
  readonly grantOf: (id: NodeId) => { readonly expires?: string } | undefined;
  readonly wallTime: () => number;
}

/** Measured to more digits than it means anything. */
const MICROSECOND = 1000;

export function viewRow(deps: ViewDeps, row: Row): NodeRow {
  const { record, measures = {} } = row;
  const grant = deps.grantOf(row.id);
  const dialable = deps.table.dialable(row);
  return {
    name: shownName({ id: row.id, name: row.name, claimedName: record?.name }),
    id: row.id,
    relation: row.relation ?? "stranger",
    state: stateOf(deps, row),
    addresses: [...new Set(dialable.endpoints.map((endpoint) => endpoint.host))],
    port: dialable.endpoints[0]?.port ?? record?.port ?? 0,
    nat: record?.nat ?? "unknown",
    via: [...dialable.via],
    lends: record?.lends ?? false,
    labels: record?.labels ?? [],
    info: record?.info ?? "",
    rank: ranked(deps, row),
    ...(record === undefined ? {} : { claimedName: record.name, version: record.version, resources: record.resources }),
    ...(row.path === undefined ? {} : { path: row.path }),
    ...(measures.rttMs === undefined ? {} : { rttMs: round(measures.rttMs) }),
    ...(measures.jitterMs === undefined ? {} : { jitterMs: round(measures.jitterMs) }),
    ...(measures.downBytesPerSecond === undefined ? {} : { downBytesPerSecond: Math.round(measures.downBytesPerSecond) }),
    ...(measures.upBytesPerSecond === undefined ? {} : { upBytesPerSecond: Math.round(measures.upBytesPerSecond) }),
    ...(grant === undefined ? {} : { grant }),
    ...(row.seenAt === undefined ? {} : { lastSeen: new Date(row.seenAt).toISOString() }),
  };
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

function round(ms: number): number {
  return Math.round(ms * MICROSECOND) / MICROSECOND;
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
