/** Links through third nodes: this node passes others on, is reached through others, and reaches others so. */

import type { FastifyPluginAsync } from "fastify";
import { LruMap, type Scope } from "../base/index.ts";
import {
  type Endpoint,
  formatEndpoint,
  isNearby,
  mayDialGossiped,
  type NodeId,
  remoteGroup,
  shortNodeId,
} from "../core/index.ts";
import {
  Arrivals,
  askRegister,
  KeepRelays,
  Relay,
  type RelayCandidate,
  RelayedWays,
  type RelayRank,
  type RelayStatus,
  serveRelay,
} from "../nat/index.ts";
import { type Dialable, type FoundByKey, InnerTls } from "../network/index.ts";
import type { Row } from "../table/index.ts";
import type { Parts } from "./parts.ts";
import type { TunnelKind } from "./tunnels.ts";

export interface Relaying {
  readonly relay: Relay;
  /** Keeps this node reachable. */
  readonly keeper: KeepRelays;
  readonly status: () => RelayStatus;
  /** A person brought an invite, in which it stands where they are. */
  readonly relaysAre: (relays: ReadonlyMap<NodeId, Endpoint>) => void;
  readonly plugins: readonly FastifyPluginAsync[];
  readonly tunnels: readonly TunnelKind[];
}

/** Of the last few invites. */
const MAX_FROM_INVITES = 16;

export function openRelaying(parts: Parts, foundByKey: FoundByKey, scope: Scope): Relaying {
  const { identity, network, lending, table, own, config, clock, reachability, addresses } = parts;
  const log = parts.log.with({ room: "nat" });
  const inner = new InnerTls({
    identity,
    clock,
    onLimit: ({ peer, path, why }) => {
      network.noteEnd(peer, { ...path, remote: `via ${table.nameOf(path.via)}` }, why);
      log.info("a relay ended a link", { node: shortNodeId(peer), via: shortNodeId(path.via), why: why.message });
    },
  });
  const existing = (id: NodeId) => network.existing(id);
  const rankOf = (id: NodeId) => rankIn(parts, id);
  const relay = scope.own(
    new Relay(
      { existing, rankOf, groupOf: (remote) => groupOf(parts, remote), lends: () => lending.on, clock, log },
      config.relay === undefined ? {} : { mode: config.relay },
    ),
  );
  const keeper = new KeepRelays({
    needed: () => reachability.needsRelay,
    candidates: () => candidatesIn(parts),
    register: async (target, signal) => await askRegister(await network.link({ ...target, via: [] }, signal), signal),
    answerOn: (target, signal) => network.answerOn(target, signal),
    changed: (via) => own.update({ via: [...via] }),
    clock,
    log,
  });
  const mayBring = (id: NodeId) => keeper.has(id) || rankOf(id) === "trusted";
  const expects = () => parts.invites.list().some(({ state }) => state === "open");
  const arrivals = scope.own(
    new Arrivals({ inner, mayBring, isKnown: parts.isKnown, expects, take: (pipe) => network.take(pipe), log }),
  );
  const relaysAre = openWays(parts, { inner, foundByKey }, scope);
  const subscriptions = [
    network.changes.on(({ link }) => {
      relay.registrations.linked(link.peer);
      keeper.look();
    }),
    reachability.changes.on(() => keeper.look()),
    addresses.moves.on(() => keeper.moved()),
  ];
  for (const subscription of subscriptions) scope.defer(() => subscription[Symbol.dispose]());
  const status = (): RelayStatus => ({
    mode: relay.mode,
    counts: relay.counts,
    registered: relay.registrations.size,
    via: keeper.via.map((id) => ({ id, name: table.nameOf(id) })),
  });
  return {
    relay,
    keeper,
    status,
    relaysAre,
    plugins: [serveRelay({ relay, status })],
    tunnels: [relay.tunnel, ...arrivals.tunnels],
  };
}

/** Ways to others through relays. @returns where relays are told of that no table knows yet */
function openWays(
  parts: Parts,
  { inner, foundByKey }: { readonly inner: InnerTls; readonly foundByKey: FoundByKey },
  scope: Scope,
): Relaying["relaysAre"] {
  const { identity, network, table, clock } = parts;
  const fromInvites = new LruMap<NodeId, Endpoint>(MAX_FROM_INVITES);
  const told = (id: NodeId): Dialable | undefined => {
    const endpoint = fromInvites.get(id);
    return endpoint === undefined ? undefined : { id, endpoints: [endpoint], via: [] };
  };
  const passage = network.addPassage(
    new RelayedWays({
      id: identity.id,
      inner,
      reach: network,
      relay: (id, target) => knownRelay(parts, { id, target }) ?? told(id),
      helpers: (target) => helpersFor(parts, target),
      byKey: foundByKey,
      nameOf: (id) => table.nameOf(id),
      clock,
    }),
  );
  scope.defer(() => passage[Symbol.dispose]());
  return (relays) => {
    for (const [id, endpoint] of relays) fromInvites.set(id, endpoint);
  };
}

function rankIn({ table, grants }: Parts, id: NodeId): RelayRank {
  const grant = grants.of(id);
  if (table.relationOf(id) !== undefined || grant?.kind === "own") return "trusted";
  return grant?.relay === true ? "guest" : "stranger";
}

/** Loopback, LAN and allowed networks are exempt from what is counted per address. */
function groupOf({ allowed }: Parts, remote: string): string | undefined {
  const group = remoteGroup(remote);
  const host = remote.slice(0, remote.lastIndexOf(":")).replace(/^\[(.*)\]$/, "$1");
  return isNearby(host, allowed) ? undefined : group;
}

/** Nodes that others can dial, for all that is known here. */
function* candidatesIn(parts: Parts): Iterable<RelayCandidate> {
  for (const row of parts.table.nodes.rows.all()) {
    const endpoints = publicEndpoints(parts, row);
    if (endpoints.length === 0) continue;
    const { id, state, relation, measures } = row;
    const about = { joined: relation !== undefined, rttMs: measures?.rttMs, doubtful: state === "suspect" };
    yield { id, endpoints, via: [], ...about };
  }
}

/** Where a stranger answered and told everybody that it is; a friend also where an invite or a person said so. */
function publicEndpoints({ table, allowed }: Parts, row: Row): readonly Endpoint[] {
  const { proven, told, relation } = row;
  if (relation !== undefined)
    return table.nodes.dialable(row).endpoints.filter((endpoint) => mayDialGossiped(endpoint, allowed));
  if (proven === undefined) return [];
  return told.filter((endpoint) => formatEndpoint(endpoint) === formatEndpoint(proven));
}

/** A stranger's record may name anybody as its relay: only those are dialled that answered before, and there. Friends are believed. */
function knownRelay(
  { table }: Parts,
  { id, target }: { readonly id: NodeId; readonly target: NodeId },
): Dialable | undefined {
  const row = table.nodes.get(id);
  if (row === undefined) return undefined;
  if (row.relation !== undefined || table.relationOf(target) !== undefined) return table.dialable(id);
  return row.proven === undefined ? undefined : { id, endpoints: [row.proven], via: [] };
}

/** My friends may know my friend; nobody else is worth asking them for. Those to whom there is a link come first. */
function helpersFor({ table, network }: Parts, target: NodeId): readonly NodeId[] {
  if (table.relationOf(target) === undefined) return [];
  const others = Array.from(table.nodes.rows.joined, ({ id }) => id).filter((id) => id !== target);
  return others.sort((a, b) => Number(network.existing(b) !== undefined) - Number(network.existing(a) !== undefined));
}
