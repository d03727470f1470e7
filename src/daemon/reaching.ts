/**
 * How others reach this node, put together: its addresses, what other nodes make of them, and what the record says then.
 */

import { isIP, isIPv6 } from "node:net";
import { type Scope, shuffled } from "../base/index.ts";
import { classifyAddress, netgroup } from "../core/index.ts";
import {
  type Candidate,
  describeReach,
  DialBack,
  type Helper,
  Reachability,
  type ReachReply,
  type Self,
  unmapped,
} from "../nat/index.ts";
import { openErrand, proveLinks } from "../network/index.ts";
import type { Parts } from "./parts.ts";

/** What the DHT knows of UDP, once there is one. */
export interface UdpSide {
  /** The first port of its endpoints. */
  readonly port: number | undefined;
  readonly mapping: Self["udpMapping"];
}

/** Filled in by those who are built later. */
export interface Outlook {
  udp: () => UdpSide;
}

export interface Reached {
  readonly outlook: Outlook;
  readonly reachability: Reachability;
  readonly dialBack: DialBack;
}

/** Asked of a large table, chosen at random. */
const MAX_HELPERS = 64;

type ReachingDeps = Omit<Parts, keyof Reached>;

export function openReaching(deps: ReachingDeps, scope: Scope): Reached {
  const { clock, random, log, allowed, carrier, lending, whereabouts, addresses } = deps;
  const outlook: Outlook = { udp: () => ({ port: undefined, mapping: undefined }) };
  const isPublic = (address: string) => allowed.includes(address) || classifyAddress(address) === "public";
  const reachability = new Reachability({
    lends: () => lending.on,
    self: () => {
      const { port, mapping } = outlook.udp();
      return { told: whereabouts.told, port: whereabouts.port, udpPort: port, udpMapping: mapping };
    },
    candidates: () => candidatesOf(deps, outlook),
    helpers: () => helpersOf(deps, isPublic),
    isPublic,
    open: (errand, signal) => openErrand(errand, { carrier, clock }, signal),
    clock,
    random,
    log: log.with({ room: "nat" }),
  });
  const subscriptions = [
    addresses.moves.on((move) => reachability.recheck({ forget: move === "changed" })),
    reachability.changes.on(() => tell(deps, reachability)),
  ];
  for (const subscription of subscriptions) scope.defer(() => subscription[Symbol.dispose]());
  scope.spawn((signal) => reachability.run(signal));
  scope.spawn((signal) => proveAfterMoves(deps, signal));
  return { outlook, reachability, dialBack: new DialBack({ carrier, allowed, clock, random }) };
}

/** For `GET /v1/reach`. */
export function reachOf(parts: Parts): ReachReply {
  const { reachability, lending, whereabouts, outlook, own, table } = parts;
  const { port, mapping } = outlook.udp();
  return describeReach({
    lends: lending.on,
    verdict: reachability.verdict,
    at: reachability.at,
    reachable: reachability.reachable,
    self: { told: whereabouts.told, port: whereabouts.port, udpPort: port, udpMapping: mapping },
    mapped: unmapped,
    punches: port !== undefined,
    via: own.latest.record.via.map((id) => ({ id, name: table.nameOf(id) })),
  });
}

function tell({ own, lending }: ReachingDeps, { reachable }: Reachability): void {
  own.update({ lends: lending.on, ...reachable, addresses: [...reachable.addresses] });
}

function candidatesOf({ whereabouts }: ReachingDeps, outlook: Outlook): Candidate[] {
  const { told, near, port } = whereabouts;
  const udp = outlook.udp().port;
  const own = told.map(
    (from): Candidate => ({ family: isIPv6(from) ? 6 : 4, from, port, udp: undefined, mapped: false }),
  );
  const four = own.find(({ family }) => family === 4);
  if (four !== undefined) return own.map((each) => (each === four ? { ...each, udp } : each));
  if (!near.some(({ host }) => !isIPv6(host))) return own;
  return [...own, { family: 4, from: undefined, port, udp, mapped: false }];
}

/** Nodes that answered here, at an address that means something outside this house. */
function helpersOf({ table, random, allowed }: ReachingDeps, isPublic: (address: string) => boolean): Helper[] {
  const verified = Array.from(table.nodes.rows.all()).filter(({ state }) => state === "verified");
  return shuffled(verified, random)
    .slice(0, MAX_HELPERS)
    .flatMap(({ id, proven, told }) => {
      const endpoints = [...(proven === undefined ? [] : [proven]), ...told];
      return ([6, 4] as const).flatMap((family): Helper[] => {
        const endpoint = endpoints.find(({ host }) => isIP(host) === family && isPublic(host));
        if (endpoint === undefined) return [];
        const { host } = endpoint;
        return [{ id, endpoint, family, place: allowed.includes(host) ? host : netgroup(host).site }];
      });
    });
}

/** Links that lead nowhere since this machine moved or slept are ended, and so made anew by those who want them. */
async function proveAfterMoves({ addresses, network, clock, log }: ReachingDeps, signal: AbortSignal): Promise<void> {
  for (;;) {
    await addresses.nextMove(signal);
    const ended = await proveLinks(network.links, clock, signal);
    log.info("the network changed", { room: "nat", linksEnded: ended });
  }
}
