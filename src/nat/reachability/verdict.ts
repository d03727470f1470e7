/**
 * What the answers of other nodes add up to. Pure: answers come in, a verdict goes out.
 *
 * Anybody may lie, so that nothing counts that only one network says: two nodes on different networks that got through
 * make an address verified, two that did not make it refuted. In between, what this machine knows of itself stands, and
 * what was verified since it moved last: helpers come and go.
 */

import { isIPv6 } from "node:net";
import type { NodeId, NodeRecord } from "../../core/index.ts";
import type { Dialled, findings, ReachAddress } from "./contract.ts";

/** What is tried: one address of this machine, or whatever a NAT makes of it. */
export interface Candidate {
  readonly family: 4 | 6;
  /** The address that is dialled from. Undefined: the system's choice. */
  readonly from: string | undefined;
  readonly port: number;
  readonly udp: number | undefined;
  /** Whether a router was asked for that port. */
  readonly mapped: boolean;
}

export interface Answer {
  readonly by: NodeId;
  /** The network that it is in: what counts as one. */
  readonly place: string;
  readonly observed: string;
  readonly tcp: Dialled["outcome"];
  readonly udp: Dialled["outcome"] | undefined;
}

export type Finding = (typeof findings)[number];

export interface AddressVerdict extends ReachAddress {
  readonly by: readonly NodeId[];
  /** It was verified before, and who could be asked last did not get in. */
  readonly doubted: boolean;
  /** It was verified by an earlier look, which the last one neither did nor refuted. */
  readonly earlier: Earlier | undefined;
}

export interface Earlier {
  /** Wall time. */
  readonly verifiedAt: number;
  /** How many got in when it was looked at last, and how many tried. */
  readonly reachedBy: number;
  readonly askedOf: number;
}

/** A verdict, and when it was reached. */
export interface Dated {
  readonly verdict: Verdict;
  readonly at: number;
}

export interface UdpVerdict {
  readonly port: number;
  readonly finding: Finding;
  readonly reachedBy: number;
}

export interface Verdict {
  readonly addresses: readonly AddressVerdict[];
  readonly observed: readonly string[];
  readonly udp: UdpVerdict | undefined;
  /** Whether others see this node at one IPv4 address here and at another there. */
  readonly differs: boolean;
  /** How many nodes answered. */
  readonly askedOf: number;
}

export const noVerdict: Verdict = { addresses: [], observed: [], udp: undefined, differs: false, askedOf: 0 };

/** Networks that must agree. */
const ENOUGH = 2;

export interface Tried {
  readonly candidate: Candidate;
  readonly answers: readonly Answer[];
}

/** @param before what was found since this machine moved last */
export function judge(tried: readonly Tried[], before: Dated = { verdict: noVerdict, at: 0 }): Verdict {
  const all = tried.flatMap(({ answers }) => answers);
  const seen = tried.flatMap(({ candidate, answers }) => (candidate.family === 4 ? observedIn(answers) : []));
  const unbound = tried.filter(({ candidate }) => candidate.family === 4).map(({ answers }) => observedIn(answers));
  return {
    addresses: tried.flatMap((each) => withBefore(judgeAddress(each), each, before)),
    observed: [...new Set([...seen, ...observedIn(all)])].sort((a, b) => Number(isIPv6(b)) - Number(isIPv6(a))),
    udp: judgeUdp(tried, before.verdict.udp),
    differs: unbound.some((addresses) => addresses.length > 1),
    askedOf: new Set(all.map(({ by }) => by)).size,
  };
}

/** What was verified stays so until it is refuted, or others see this machine elsewhere; also for that it takes two networks. */
function withBefore(
  now: readonly AddressVerdict[],
  { candidate, answers }: Tried,
  { verdict: before, at }: Dated,
): readonly AddressVerdict[] {
  const was = before.addresses.find((each) => each.finding === "verified" && isOf(each, candidate));
  if (was === undefined || now.some(({ finding }) => finding === "verified")) return now;
  const confirms = ({ observed, tcp }: Answer) => observed === was.address && tcp === "open";
  const against = placesOf(answers.filter((answer) => !confirms(answer)));
  if (against >= ENOUGH) return now;
  const reachedBy = answers.filter(confirms).length;
  const earlier = { verifiedAt: was.earlier?.verifiedAt ?? at, reachedBy, askedOf: answers.length };
  return [{ ...was, doubted: reachedBy === 0 && (against > 0 || was.doubted), earlier }];
}

function isOf({ address, port, origin }: AddressVerdict, candidate: Candidate): boolean {
  if (port !== candidate.port || isIPv6(address) !== (candidate.family === 6)) return false;
  return origin === "own" ? address === candidate.from : origin === foreignOrigin(candidate);
}

function foreignOrigin({ mapped }: Candidate): "mapped" | "nat" {
  return mapped ? "mapped" : "nat";
}

/** None: nobody could say at which address others see it. */
function judgeAddress({ candidate, answers }: Tried): AddressVerdict[] {
  const { from, port } = candidate;
  const open = answers.filter(({ tcp }) => tcp === "open");
  const address = mostCommon((open.length > 0 ? open : answers).map(({ observed }) => observed)) ?? from;
  if (address === undefined) return [];
  const here = answers.filter(({ observed }) => observed === address);
  const reached = here.filter(({ tcp }) => tcp === "open");
  const origin = address === from ? "own" : foreignOrigin(candidate);
  const finding = findingOf(here.map(({ place, tcp }) => ({ place, outcome: tcp })));
  const by = reached.map((answer) => answer.by);
  const counts = { reachedBy: reached.length, askedOf: here.length };
  return [{ address, port, origin, finding, by, ...counts, doubted: false, earlier: undefined }];
}

function judgeUdp(tried: readonly Tried[], before: UdpVerdict | undefined): UdpVerdict | undefined {
  const asked = tried.find(({ candidate }) => candidate.udp !== undefined);
  if (asked?.candidate.udp === undefined) return undefined;
  const outcomes = asked.answers.flatMap(({ place, udp }) => (udp === undefined ? [] : [{ place, outcome: udp }]));
  const reachedBy = outcomes.filter(({ outcome }) => outcome === "open").length;
  const now = { port: asked.candidate.udp, finding: findingOf(outcomes), reachedBy };
  const stands = before?.finding === "verified" && before.port === now.port && !isRefuted(now.finding);
  return stands && now.finding !== "verified" ? before : now;
}

function findingOf(outcomes: readonly { readonly place: string; readonly outcome: Dialled["outcome"] }[]): Finding {
  const places = (isOpen: boolean) => placesOf(outcomes.filter(({ outcome }) => (outcome === "open") === isOpen));
  if (outcomes.length === 0) return "untried";
  if (places(true) >= ENOUGH) return "verified";
  if (places(false) < ENOUGH) return "unsure";
  return outcomes.some(({ outcome }) => outcome === "refused" || outcome === "stranger") ? "refused" : "silent";
}

function placesOf(answers: readonly { readonly place: string }[]): number {
  return new Set(answers.map(({ place }) => place)).size;
}

function observedIn(answers: readonly Answer[]): string[] {
  return [...new Set(answers.map(({ observed }) => observed))];
}

function mostCommon(texts: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1])[0]?.[0];
}

export interface Self {
  /** The addresses of this machine that may be told, best first, and the port that it listens on. */
  readonly told: readonly string[];
  readonly port: number;
  /** Where DHT endpoints listen, or will. */
  readonly udpPort: number | undefined;
  /** Whether its IPv4 addresses mean nothing outside. */
  readonly isBehindNat: boolean;
  /** What the DHT says of the mapping of UDP ports. */
  readonly udpMapping: "cone" | "symmetric" | "blocked" | undefined;
}

/** What the record says of all this. */
export type Reachable = Pick<NodeRecord, "addresses" | "port" | "udpPort" | "nat">;

const MAX_ADDRESSES = 4;

/** Own addresses stand until they are refuted, so that a network of two can begin; others only once they are verified. */
export function toRecord(verdict: Verdict, self: Self): Reachable {
  const of = (address: string) => verdict.addresses.find((each) => each.address === address);
  const own = self.told.filter((address) => !isRefuted(of(address)?.finding));
  const foreign = verdict.addresses.filter(({ origin, finding }) => origin !== "own" && finding === "verified");
  // One record has one port: another one than this node listens on is told only where nothing else works.
  const others = foreign.filter(({ port }) => port === self.port);
  const [elsewhere] = own.length + others.length === 0 ? foreign : [];
  const addresses =
    elsewhere === undefined ? [...new Set([...own, ...others.map(({ address }) => address)])] : [elsewhere.address];
  return {
    addresses: addresses.sort((a, b) => Number(isIPv6(b)) - Number(isIPv6(a))).slice(0, MAX_ADDRESSES),
    port: elsewhere?.port ?? self.port,
    udpPort: udpPortOf(verdict, self),
    nat: natOf(verdict, self),
  };
}

/** Whether others need a helper to get here: nothing says that it can be dialled, by IPv4 as well where there is that. */
export function needsRelay(
  { addresses }: Reachable,
  { verdict, isBehindNat }: { readonly verdict: Verdict; readonly isBehindNat: boolean },
): boolean {
  const isDoubtful = (address: string) =>
    verdict.addresses.some(
      (each) => each.address === address && (each.doubted || (each.finding === "unsure" && each.reachedBy === 0)),
    );
  const sound = addresses.filter((address) => !isDoubtful(address));
  return isBehindNat ? sound.every(isIPv6) : sound.length === 0;
}

function isRefuted(finding: Finding | undefined): boolean {
  return finding === "refused" || finding === "silent";
}

function udpPortOf({ udp, addresses }: Verdict, { udpPort = 0, told }: Self): number {
  if (udp?.finding === "verified") return udpPort;
  const ownFour = told.some((address) => !isIPv6(address));
  const isBehind = addresses.some(({ address, origin }) => origin !== "own" && !isIPv6(address));
  return ownFour && !isBehind && !isRefuted(udp?.finding) ? udpPort : 0;
}

/** Where IPv4 comes in through a NAT, its addresses alone say how that is passed: others may have no IPv6. */
export function addressesAtNat({ addresses }: Verdict, { isBehindNat }: Self): readonly AddressVerdict[] {
  return isBehindNat ? addresses.filter(({ address }) => !isIPv6(address)) : addresses;
}

function natOf(verdict: Verdict, self: Self): Reachable["nat"] {
  const verified = addressesAtNat(verdict, self).filter(({ finding }) => finding === "verified");
  if (verified.some(({ origin }) => origin === "own")) return "none";
  if (verified.length > 0) return "mapped";
  return self.udpMapping ?? (verdict.differs ? "symmetric" : "unknown");
}
