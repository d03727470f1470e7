/** What `p2prc status` shows. */

import { formatEndpoint, VERSION } from "../core/index.ts";
import type { Path } from "../network/index.ts";
import type { LateRuntime } from "../sandbox/index.ts";
import type { Status } from "./contract.ts";
import { freeBytes } from "../store/index.ts";
import type { Parts } from "./parts.ts";
import { reachOf } from "./reaching.ts";

/** The log of SQLite and its index, for one change. */
const ENOUGH_BYTES = 64 * 1024;

export interface LendingState {
  readonly runtime: Pick<LateRuntime, "facts" | "found" | "passedOver">;
  /** Whether the owner stopped everything. */
  readonly panicked: boolean;
  readonly relay: Status["relay"];
}

export function statusOf(parts: Parts, state: LendingState): Status {
  const { facts } = state.runtime;
  const { identity, name, pid, startedAt, home, lending, whereabouts, logFile, boot } = parts;
  return {
    id: identity.id,
    name,
    version: VERSION,
    pid,
    startedAt,
    home: home.path,
    lends: lending.on,
    ...(state.runtime.found ? { runtime: { kind: facts.kind, version: facts.version } } : {}),
    listening: [...whereabouts.listening],
    addresses: whereabouts.known(parts.own.latest.record).map(formatEndpoint),
    links: linksOf(parts),
    nodes: countsOf(parts),
    reach: reachIn(parts),
    relay: state.relay,
    warnings: [...warningsOf(parts), ...lendingWarnings(parts, state)],
    logFile: logFile.path,
    boot,
  };
}

function reachIn(parts: Parts): Status["reach"] {
  const { nat, reachableBy } = reachOf(parts);
  return { nat, by: reachableBy };
}

function linksOf({ network, answering, table }: Parts): Status["links"] {
  const asking = network.links.map(({ peer, path }) => {
    const { rttMs } = table.nodes.get(peer)?.measures ?? {};
    return {
      id: peer,
      name: table.nameOf(peer),
      ...pathOf(path, table),
      asks: true,
      ...(rttMs === undefined ? {} : { rttMs: Math.round(rttMs * 1000) / 1000 }),
    };
  });
  const answered = answering.callers.flatMap(({ caller, path }) =>
    caller.kind === "node"
      ? [{ id: caller.id, name: table.nameOf(caller.id), ...pathOf(path, table), asks: false }]
      : [],
  );
  return [...asking, ...answered];
}

function pathOf({ kind, via }: Path, table: Parts["table"]) {
  return { path: kind, ...(via === undefined ? {} : { via: table.nameOf(via) }) };
}

/** Rows of the table by what is known of them. */
export function countsOf({ table }: Pick<Parts, "table">): Status["nodes"] {
  const { joined, verified, heard, suspect } = table.counts;
  return { joined, verified, heard, suspect };
}

function warningsOf(parts: Parts): string[] {
  const { twins, warnings, home, logFile, lending, whereabouts } = parts;
  const all = [...warnings, ...twins.warnings];
  if (isDiskFull(parts)) all.push(`the disk is full: nothing new can be kept (\`df -h ${home.path}\` shows it)`);
  if (home.uid === 0) all.push("the daemon runs as root; an ordinary user is enough");
  if (logFile.lost > 0) all.push(`${logFile.lost} lines of the log could not be written`);
  if (lending.on && whereabouts.near.length === 0) all.push("this machine has no address that others could reach");
  return all;
}

/** Something waits for room, or the next thing would. */
function isDiskFull({ own, table, home }: Parts): boolean {
  return own.stale || table.unwritten || (freeBytes(home.path) ?? ENOUGH_BYTES) < ENOUGH_BYTES;
}

/** What keeps guests from getting sandboxes, or what they would lack. */
function lendingWarnings({ lending }: Parts, { runtime, panicked }: LendingState): string[] {
  if (panicked) return ["everything is frozen; `p2prc panic --off` lets it go on"];
  if (!lending.on) return [];
  if (runtime.found) return [...runtime.facts.problems];
  const { passedOver } = runtime;
  return passedOver.length === 0
    ? []
    : [`this machine can make no sandboxes (${passedOver.join("; ")}); see \`p2prc doctor\``];
}
