/**
 * Punching put together: what the table knows of the DHT, what the record says of this node, and what the DHT says of
 * the NAT in front of it.
 */

import { isIPv4 } from "node:net";
import { join } from "node:path";
import type { Clock, Scope } from "../base/index.ts";
import { classifyAddress, DEFAULT_PORT, type Endpoint, mayDialGossiped } from "../core/index.ts";
import type { ReachReply, Self } from "../nat/index.ts";
import { FoundByKey, Punch, type PunchOptions, type PunchRole, type PunchState } from "../network/index.ts";
import type { Row } from "../table/index.ts";
import type { Parts } from "./parts.ts";

/** A node that UDP reaches answers at so many ports while few such nodes are known, and else at the first. */
const PORTS = 4;
/** TCP ports of several nodes on one machine follow each other, and each needs four for UDP. */
const NEIGHBOURS = 16;
/** What a query of the DHT asks at first, and some. */
const MAX_BOOTSTRAP = 32;
/** The table changes often and is large; the DHT is in no hurry. */
const LOOK_EVERY_MS = 1_000;

interface Punching {
  readonly punch: Punch;
  readonly foundByKey: FoundByKey;
}

export function openPunching(parts: Parts, scope: Scope): Punching {
  const { identity, clock, random, network, own, table, grants, carrier, allowed, outlook, config } = parts;
  const log = parts.log.with({ room: "network" });
  const isKnown = (id: Row["id"]) => table.relationOf(id) !== undefined || grants.of(id) !== undefined;
  const mayReach = ({ host, port }: Endpoint) => mayPunch(parts, { host, port });
  const bootstrap = every(LOOK_EVERY_MS, clock, () => bootstrapOf(parts));
  const isHelped = every(LOOK_EVERY_MS, clock, () => hasHelper(parts));
  const punch = scope.own(
    new Punch(
      {
        identity,
        bootstrap,
        mayReach,
        take: (pipe) => network.take(pipe),
        isKnown,
        record: () => own.latest.record,
        clock,
        random,
        log,
      },
      roleOf(parts),
      optionsOf(parts),
    ),
  );
  const foundByKey = new FoundByKey({
    find: (id, signal) => punch.find(id, signal),
    canFind: () => punch.state.on,
    carrier,
    isFriend: (id) => table.relationOf(id) !== undefined,
    mayDial: (endpoint) => mayDialGossiped(endpoint, allowed),
    clock,
  });
  let mapping: Self["udpMapping"];
  outlook.udp = () => {
    const [port, preferred] = canOpen(punch.state) ? [udpPort(parts), preferredPort(parts)] : [];
    mapping = mappingOf(punch.state, { isAlone: !isHelped(), before: mapping });
    return { port, preferred, mapping };
  };
  const subscriptions = [
    network.addPassage(punch),
    network.addPassage(foundByKey),
    own.changes.on(() => punch.setRole(roleOf(parts))),
    parts.mapping.changes.on(() => punch.setRole(roleOf(parts))),
    punch.changes.on(() => tell(parts)),
  ];
  for (const subscription of subscriptions) scope.defer(() => subscription[Symbol.dispose]());
  if (config.punch === false) log.info("punching is turned off");
  return { punch, foundByKey };
}

/** For `GET /v1/reach`: whether this node can punch, and why not. */
export function withPunching(reach: ReachReply, state: PunchState): ReachReply {
  return { ...reach, findings: [...reach.findings, findingOf(state)] };
}

function findingOf({ reason, off, broken, endpoints, nodesKnown }: PunchState): ReachReply["findings"][number] {
  const about = "punching";
  if (off !== undefined) return { about, ok: true, words: off };
  if (broken !== undefined) {
    const fix = "use a system with glibc 2.33 or newer (Debian 12); until then TCP and relays carry everything";
    return { about, ok: false, words: broken, fix };
  }
  if (reason !== undefined) return { about, ok: true, words: reason }; // so it is for the first of a network
  if (nodesKnown > 0) return { about, ok: true, words: `possible, ${nodesKnown} ends of other nodes help` };
  return {
    about,
    ok: true,
    words: endpoints === 0 ? "possible, as soon as it is needed" : "no end of another node answers",
  };
}

/** Nodes that answered here, or that a person joined, and that say that UDP reaches them. */
function reachableByUdp({ table, identity }: Parts): readonly Row[] {
  const isMeant = ({ id, state, relation, record }: Row) =>
    id !== identity.id && (record?.udpPort ?? 0) > 0 && (state === "verified" || relation !== undefined);
  return Array.from(table.nodes.rows.all()).filter(isMeant);
}

/** Whether one of those is there: there is a link to it, or it passes others on to this node. */
function hasHelper(parts: Parts): boolean {
  const { via } = parts.own.latest.record;
  return reachableByUdp(parts).some(({ id }) => via.includes(id) || parts.network.existing(id) !== undefined);
}

function bootstrapOf(parts: Parts): readonly Endpoint[] {
  const { allowed } = parts;
  const rows = reachableByUdp(parts);
  const first = rows.flatMap(({ record, told }): Endpoint[] => {
    const host = told.find((endpoint) => isIPv4(endpoint.host))?.host;
    return host === undefined ? [] : [{ host, port: record?.udpPort ?? 0 }];
  });
  // Where a router does not let its own clients in by its own address, the four do not know of each other.
  const all = first.length >= PORTS ? first : first.flatMap(withNeighbours);
  return all.filter((endpoint) => mayPunch({ allowed }, endpoint)).slice(0, MAX_BOOTSTRAP);
}

function withNeighbours({ host, port }: Endpoint): Endpoint[] {
  return Array.from({ length: PORTS }, (_, offset) => ({ host, port: port + offset }));
}

/** A NAT may have given it any port; those of the system are left alone. */
function mayPunch({ allowed }: Pick<Parts, "allowed">, { host, port }: Endpoint): boolean {
  return port >= 1_024 && port <= 65_535 && (allowed.includes(host) || classifyAddress(host) === "public");
}

function roleOf(parts: Parts): PunchRole {
  const { own, lending } = parts;
  const { addresses, udpPort: told } = own.latest.record;
  const publicHost = told === 0 ? undefined : addresses.find((address) => isIPv4(address));
  return { answers: lending.listening, port: udpPort(parts), publicHost: lending.listening ? publicHost : undefined };
}

/** As the router opened it: its ends of the DHT are named by their ports outside. */
function udpPort(parts: Parts): number {
  return parts.mapping.udpFrom(preferredPort(parts));
}

/** The same number as of TCP where that is possible: one rule on a router is easier to understand than two. */
function preferredPort({ whereabouts }: Parts): number {
  const tcp = whereabouts.port === 0 ? DEFAULT_PORT : whereabouts.port;
  const nth = tcp - DEFAULT_PORT;
  if (nth >= 0 && nth < NEIGHBOURS) return DEFAULT_PORT + nth * PORTS;
  return Math.min(tcp, 65_536 - PORTS);
}

function optionsOf({ config, home }: Parts): PunchOptions {
  const { punch, networkSecret, listen } = config;
  const host = hostOf(listen);
  return {
    nodesPath: join(home.path, "dht_nodes.json"),
    networkSecret,
    ...(host === undefined ? { off: "punching needs IPv4, and `listen` names no IPv4 address" } : { host }),
    ...(punch === false ? { off: "punching is turned off (`--no-punch`)" } : {}),
  };
}

/** The one that is bound. */
function hostOf(listen: readonly string[] | undefined): string | undefined {
  if (listen === undefined || listen.includes("::")) return "0.0.0.0";
  return listen.find((address) => isIPv4(address));
}

function canOpen({ off, broken }: PunchState): boolean {
  return off === undefined && broken === undefined;
}

/** Where those who should answer by UDP answer no other way either, nothing follows for this network: it stays as it was. */
export function mappingOf(
  { endpoints, asked, nodesKnown, randomized }: Pick<PunchState, "endpoints" | "asked" | "nodesKnown" | "randomized">,
  { isAlone, before }: { readonly isAlone: boolean; readonly before: Self["udpMapping"] },
): Self["udpMapping"] {
  if (endpoints === 0 || asked === 0) return undefined;
  if (nodesKnown === 0) return isAlone ? before : "blocked";
  return randomized === undefined ? undefined : randomized ? "symmetric" : "cone";
}

function tell({ own, lending, reachability }: Parts): void {
  const { reachable } = reachability;
  own.update({ lends: lending.on, ...reachable, addresses: [...reachable.addresses] });
}

/** Looks at most every so often. */
function every<T>(ms: number, clock: Clock, look: () => T): () => T {
  let latest: { readonly value: T; readonly at: number } | undefined;
  return () => {
    const now = clock.now();
    if (latest === undefined || now - latest.at >= ms) latest = { value: look(), at: now };
    return latest.value;
  };
}
