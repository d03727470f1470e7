/**
 * How others reach this node, put together: its addresses, what other nodes make of them, and what the record says then.
 */

import { isIP, isIPv6 } from "node:net";
import { type Scope, shuffled } from "../base/index.ts";
import { classifyAddress, type Endpoint, netgroup } from "../core/index.ts";
import {
  type Candidate,
  describeReach,
  DialBack,
  findGateways,
  type Helper,
  openNatPmp,
  openPcp,
  openUpnp,
  PortMapping,
  Reachability,
  type ReachReply,
  type Self,
  unverifiedPlaces,
  type Wanted,
} from "../nat/index.ts";
import { openErrand, type Proof, proofFor, proveLinks } from "../network/index.ts";
import type { Row } from "../table/index.ts";
import type { Move } from "./own-addresses.ts";
import type { Parts } from "./parts.ts";

/** What the DHT knows of UDP, once there is one. */
export interface UdpSide {
  /** The first port of its endpoints. */
  readonly port: number | undefined;
  /** What that is to be, where no other node of this house has it on the router. */
  readonly preferred: number | undefined;
  readonly mapping: Self["udpMapping"];
}

/** Filled in by those who are built later. */
export interface Outlook {
  udp: () => UdpSide;
}

export interface Reached {
  readonly outlook: Outlook;
  readonly mapping: PortMapping;
  readonly reachability: Reachability;
  readonly dialBack: DialBack;
  /** Where it may be dialled, though too few nodes got in to say so in its record. */
  readonly unverified: () => readonly Endpoint[];
  /** It begins or ends; moved: so does listening. */
  readonly lendingChanged: (change: { readonly moved: boolean }) => void;
}

/** A node that UDP reaches has so many endpoints of the DHT, on ports one after the other. */
const DHT_PORTS = 4;
const AFTER_ASKING_MS = 100;
/** Asked of a large table, chosen at random. */
const MAX_HELPERS = 64;

type ReachingDeps = Omit<Parts, keyof Reached | "guests">;

export function openReaching(deps: ReachingDeps, scope: Scope): Reached {
  const { clock, random, allowed, carrier, lending, whereabouts, addresses, config } = deps;
  const log = deps.log.with({ room: "nat" });
  const outlook: Outlook = { udp: () => ({ port: undefined, preferred: undefined, mapping: undefined }) };
  const isPublic = (address: string) => allowed.includes(address) || classifyAddress(address) === "public";
  const mapping = new PortMapping(
    {
      wanted: () => wantedOf(deps, outlook),
      findGateways,
      openers: [openPcp, openNatPmp, openUpnp],
      clock,
      random,
      log,
    },
    { on: config.map ?? true },
  );
  const reachability = new Reachability({
    lends: () => lending.listening,
    self: () => {
      const { port, mapping } = outlook.udp();
      const { told, port: tcp } = whereabouts;
      return { told, port: tcp, udpPort: port, udpMapping: mapping, isBehindNat: isBehindRouter(whereabouts) };
    },
    ready: (signal) => mapping.settled(signal),
    candidates: () => candidatesOf(deps, { outlook, mapping }),
    helpers: () => helpersOf(deps, isPublic),
    isPublic,
    open: (errand, signal) => openErrand(errand, { carrier, clock }, signal),
    clock,
    random,
    log,
  });
  const subscriptions = [
    addresses.moves.on((move) => {
      if (!scope.signal.aborted) scope.spawn((signal) => proveAfter(move, deps, signal));
      if (move === "slept") mapping.again();
      else mapping.moved();
      reachability.recheck({ forget: false, stands: move === "came" });
    }),
    onOpened(mapping, () => reachability.recheck({ forget: false })),
    reachability.changes.on(() => tell(deps, reachability)),
  ];
  for (const subscription of subscriptions) scope.defer(() => subscription[Symbol.dispose]());
  scope.spawn((signal) => mapping.run(signal));
  scope.spawn((signal) => reachability.run(signal));
  const lendingChanged = ({ moved }: { readonly moved: boolean }) => {
    if (!moved) return tell(deps, reachability);
    mapping.again();
    reachability.recheck({ forget: true });
  };
  return {
    outlook,
    mapping,
    reachability,
    dialBack: new DialBack({ carrier, allowed, clock, random }),
    unverified: () => unverifiedPlaces({ reachability, mapped: mapping.latest, isPublic }),
    lendingChanged,
  };
}

/** For `GET /v1/reach`. */
export function reachOf(parts: Parts): ReachReply {
  const { reachability, mapping, lending, outlook, own, table, clock } = parts;
  const udp = outlook.udp();
  return describeReach({
    lends: lending.on,
    verdict: reachability.verdict,
    at: reachability.at,
    now: clock.wallTime(),
    reachable: reachability.reachable,
    self: reachability.self,
    mapped: mapping.latest,
    punches: udp.port !== undefined,
    via: own.latest.record.via.map((id) => ({ id, name: table.nameOf(id) })),
  });
}

/** Calls back when other ports are open than before: a router that refuses is no news for anybody outside. */
function onOpened(mapping: PortMapping, listener: () => void): Disposable {
  const opened = () => {
    const { four, pinholes } = mapping.latest;
    return JSON.stringify([four.kind === "mapped" ? four.ports : undefined, pinholes]);
  };
  let before = opened();
  return mapping.changes.on(() => {
    const now = opened();
    if (now === before) return;
    before = now;
    listener();
  });
}

function tell({ own, lending }: ReachingDeps, { reachable }: Reachability): void {
  own.update({ lends: lending.on, ...reachable, addresses: [...reachable.addresses] });
}

function candidatesOf(
  { whereabouts }: ReachingDeps,
  { outlook, mapping }: { readonly outlook: Outlook; readonly mapping: PortMapping },
): Candidate[] {
  const { told, port } = whereabouts;
  const { four: state } = mapping.latest;
  const udp = outlook.udp().port;
  const own = told.map(
    (from): Candidate => ({ family: isIPv6(from) ? 6 : 4, from, port, udp: undefined, mapped: false }),
  );
  const four = own.find(({ family }) => family === 4);
  if (four !== undefined) return own.map((each) => (each === four ? { ...each, udp } : each));
  if (!isBehindRouter(whereabouts)) return own;
  const outside = state.kind === "mapped" ? state.ports.tcp : port;
  return [...own, { family: 4, from: undefined, port: outside, udp, mapped: state.kind === "mapped" }];
}

/** What routers should let in; nothing where none is in the way. */
function wantedOf({ lending, whereabouts }: ReachingDeps, outlook: Outlook): Wanted | undefined {
  const { port: tcp, told } = whereabouts;
  const { preferred } = outlook.udp();
  const [four, six] = [isBehindRouter(whereabouts), told.filter(isIPv6)];
  if (!lending.listening || (!four && six.length === 0)) return undefined;
  return {
    tcp,
    udp: preferred === undefined ? [] : Array.from({ length: DHT_PORTS }, (_, n) => preferred + n),
    four,
    six,
  };
}

/** Its IPv4 addresses mean nothing outside: a LAN's, or a provider's. */
function isBehindRouter({ told, near }: ReachingDeps["whereabouts"]): boolean {
  if (told.some((address) => !isIPv6(address))) return false;
  return near.some(({ host }) => !isIPv6(host) && classifyAddress(host) !== "loopback");
}

/** Nodes that answered here or that a person joined, at an address that means something outside this house. */
function helpersOf(
  { table, random, allowed, whereabouts }: ReachingDeps,
  isPublic: (address: string) => boolean,
): Helper[] {
  const here = new Set(whereabouts.told.map((address) => netgroup(address).host));
  const isOutside = (host: string) => isPublic(host) && !here.has(netgroup(host).host);
  const isUsable = ({ state, relation }: Row) => state === "verified" || (state === "heard" && relation !== undefined);
  const usable = Array.from(table.nodes.rows.all()).filter(isUsable);
  return shuffled(usable, random)
    .slice(0, MAX_HELPERS)
    .flatMap((row) => {
      const { endpoints } = table.nodes.dialable(row);
      return ([6, 4] as const).flatMap((family): Helper[] => {
        const endpoint = endpoints.find(({ host }) => isIP(host) === family && isOutside(host));
        if (endpoint === undefined) return [];
        const { host } = endpoint;
        return [{ id: row.id, endpoint, family, place: allowed.includes(host) ? host : netgroup(host).site }];
      });
    });
}

/** Links that lead nowhere since this machine moved or slept are ended, and so made anew by those who want them. */
async function proveAfter(
  move: Move,
  { addresses, network, answering, clock, log }: ReachingDeps,
  signal: AbortSignal,
): Promise<void> {
  const moved = { here: addresses.all, move };
  const later = ({ timeoutMs, ends }: Proof): Proof => ({ timeoutMs: timeoutMs + AFTER_ASKING_MS, ends });
  const [linksEnded] = await Promise.all([
    proveLinks(network.links, { clock, ...moved, doubt: (link) => network.doubt(link) }, signal),
    // A little later: whoever makes these anew must not ask on one of the others that is dead.
    answering.prove((path) => later(proofFor(path, moved)), signal),
  ]);
  log.info(move === "slept" ? "the machine has slept" : "the network changed", { linksEnded });
}
