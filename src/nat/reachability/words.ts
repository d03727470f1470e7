/** How others reach this node, in words, with what a person can do about it. Pure. */

import { isIPv6 } from "node:net";
import { classifyAddress, type NodeId } from "../../core/index.ts";
import type { Mapped, MappedPorts } from "../mapping/state.ts";
import type { ReachFinding, ReachReply } from "./contract.ts";
import {
  addressesAtNat,
  type AddressVerdict,
  type Earlier,
  type Reachable,
  type Self,
  type Verdict,
} from "./verdict.ts";

export interface ReachFacts {
  readonly lends: boolean;
  readonly verdict: Verdict;
  /** Wall time of the verdict. */
  readonly at: number | undefined;
  /** Wall time. */
  readonly now: number;
  readonly reachable: Reachable;
  readonly self: Self;
  readonly mapped: Mapped;
  /** Whether HyperDHT can be used here, so that others may punch. */
  readonly punches: boolean;
  readonly via: readonly { readonly id: NodeId; readonly name: string }[];
}

export function describeReach(facts: ReachFacts): ReachReply {
  const { lends, verdict, at, reachable, via } = facts;
  return {
    lends,
    nat: reachable.nat,
    ...(at === undefined ? {} : { at: new Date(at).toISOString() }),
    addresses: verdict.addresses.map(({ by: _by, doubted: _doubted, earlier: _earlier, ...address }) => address),
    observed: [...verdict.observed],
    reachableBy: lends ? reachableBy(facts) : [],
    via: via.map(({ id }) => id),
    findings: lends ? findings(facts) : [],
  };
}

function reachableBy({ verdict, reachable, punches, via }: ReachFacts): string[] {
  const verified = verdict.addresses.filter(({ finding }) => finding === "verified");
  const families = [...new Set(verified.map(({ address }) => (isIPv6(address) ? "IPv6" : "IPv4")))];
  return [
    ...(families.length > 0 ? [`direct connections (${families.join(" and ")})`] : []),
    ...(families.length === 0 && reachable.addresses.length > 0 ? ["direct connections, as far as is known"] : []),
    ...(punches && reachable.nat !== "none" && reachable.nat !== "blocked" ? ["punching"] : []),
    ...(via.length > 0 ? [`relay through ${listed(via.map(({ name }) => name))}`] : []),
  ];
}

function findings(facts: ReachFacts): ReachFinding[] {
  return [natFinding(facts), mappingFinding(facts), sixFinding(facts)].filter((finding) => finding !== undefined);
}

function natFinding({ reachable, verdict, self }: ReachFacts): ReachFinding {
  const about = "NAT";
  const ok = (words: string): ReachFinding => ({ about, ok: true, words });
  switch (reachable.nat) {
    case "none":
      return ok("none, others reach this machine at its own address");
    case "mapped":
      return ok("passed, others reach this machine through the router's address");
    case "cone":
      return ok("ordinary (endpoint-independent)");
    case "symmetric":
      return {
        about,
        ok: false,
        words: "symmetric (another port for each destination), so that two such machines need a relay",
        fix: "forward the port on the router, or use another network",
      };
    case "blocked":
      return {
        about,
        ok: false,
        words: "this network lets no UDP through, so that others cannot punch",
        fix: "allow UDP on the router or firewall",
      };
    case "unknown":
      return unknownFinding(verdict, self);
  }
}

function unknownFinding(verdict: Verdict, self: Self): ReachFinding {
  const about = "NAT";
  const { told, port } = self;
  const addresses = addressesAtNat(verdict, self);
  const reachedBy = Math.max(0, ...addresses.map((address) => address.reachedBy));
  if (reachedBy > 0)
    return { about, ok: true, words: `not known yet, ${people(reachedBy)} got in and another one has to confirm it` };
  const askedOf = self.isBehindNat ? Math.max(0, ...addresses.map((address) => address.askedOf)) : verdict.askedOf;
  if (askedOf === 0)
    return {
      about,
      ok: true,
      words: `not known yet, no node outside ${told.length > 0 ? "was asked" : "could be asked"}`,
    };
  return {
    about,
    ok: false,
    words: blockedWords(addresses, { askedOf, verdict }),
    fix: `allow TCP ${port} in on the router or firewall`,
  };
}

function blockedWords(
  addresses: readonly AddressVerdict[],
  { askedOf, verdict }: { readonly askedOf: number; readonly verdict: Verdict },
): string {
  const refused = addresses.some(({ finding }) => finding === "refused");
  const by = addresses.length < verdict.addresses.length ? " by IPv4" : "";
  return `connections from outside${by} ${refused ? "are refused" : "do not get in"}, as ${people(askedOf)} found`;
}

function mappingFinding(facts: ReachFacts): ReachFinding | undefined {
  const { self, reachable } = facts;
  const { four } = facts.mapped;
  const forward = `forward TCP ${self.port}${self.udpPort === undefined ? "" : " and UDP"} to this machine on the router`;
  if (reachable.nat === "none" && four.kind !== "mapped") return undefined;
  if (four.kind === "off") return { about: "port mapping", ok: true, words: "turned off (`--no-map`)" };
  if (four.kind === "idle") return undefined; // no router is in the way of IPv4
  if (four.kind === "asking") return { about: "port mapping", ok: true, words: "the router is being asked" };
  if (four.kind === "failed") {
    const fix = four.isRefusal ? forward : `turn on UPnP or PCP on the router, or ${forward}`;
    return { about: "port mapping", ok: false, words: four.why, fix };
  }
  return mappedFinding(four.ports, { facts, forward });
}

function mappedFinding(
  ports: MappedPorts,
  { facts, forward }: { readonly facts: ReachFacts; readonly forward: string },
): ReachFinding {
  const { verdict, self, now } = facts;
  const about = ports.method;
  const what = mappedWords(ports, self);
  const found = verdict.addresses.find(({ origin, address }) => origin === "mapped" && !isIPv6(address));
  if (found?.finding === "verified") {
    const lie = isBehindAnother(ports, found) ? `, though the router says its address is ${ports.external}` : "";
    return { about, ok: true, words: `${what}, ${verifiedWords(found, now)}${lie}` };
  }
  if (found !== undefined && found.finding === "unsure" && found.reachedBy > 0)
    return { about, ok: true, words: `${what}, not verified: ${people(found.reachedBy)} got in, and it takes two` };
  if (found === undefined || found.finding === "unsure" || found.finding === "untried")
    return { about, ok: true, words: `${what}, not verified: fewer than two nodes could be asked` };
  const why = whyNotThrough(ports, found);
  return { about, ok: false, words: `${what}, but ${why}`, fix: isBehindAnother(ports, found) ? ANOTHER_NAT : forward };
}

function mappedWords({ tcp, udp }: MappedPorts, self: Self): string {
  const other = tcp === self.port ? "" : ` (${self.port} is taken there)`;
  if (udp === undefined) return `mapped ${tcp}${other} tcp${self.udpPort === undefined ? "" : ", no UDP port"}`;
  return `mapped ${tcp}${other} tcp${udp === tcp ? "+udp" : ` and ${udp} udp`}`;
}

/** What stands from an earlier look is not passed off as new. */
function verifiedWords({ reachedBy, earlier }: AddressVerdict, now: number): string {
  const verified = `verified by ${people(reachedBy)}`;
  if (earlier === undefined) return verified;
  return `${verified} ${ago(now - earlier.verifiedAt)} (${lastLook(earlier)})`;
}

function lastLook({ reachedBy, askedOf }: Earlier): string {
  if (askedOf === 0) return "nobody answered the last time";
  if (reachedBy === 0) return `the last time ${people(askedOf)} did not get in`;
  return `the last time only ${people(askedOf)} could be asked, ${reachedBy === askedOf ? "and" : `of which ${reachedBy}`} got in`;
}

function ago(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / 60_000));
  return minutes < 90 ? `${minutes} min ago` : `${Math.round(minutes / 60)} h ago`;
}

const ANOTHER_NAT =
  "ask the provider for a public IPv4 address or IPv6, or set the router in front to bridge mode; until then others punch or take a relay";

function whyNotThrough(ports: MappedPorts, found: AddressVerdict): string {
  if (!isBehindAnother(ports, found)) return `${people(found.askedOf)} did not get through`;
  if (classifyAddress(ports.external ?? "") === "cgnat") return "the provider has a NAT of its own in front (CGNAT)";
  return `the router says its address is ${ports.external}, and others see ${found.address}: another NAT is in front`;
}

function isBehindAnother({ external }: MappedPorts, { address }: AddressVerdict): boolean {
  return external !== undefined && external !== address;
}

function sixFinding({ self, verdict, now }: ReachFacts): ReachFinding {
  const about = "IPv6";
  const own = self.told.filter(isIPv6);
  if (own.length === 0) return { about, ok: true, words: "none" };
  const found = verdict.addresses.filter(({ address }) => isIPv6(address));
  const best = found.find(({ finding }) => finding === "verified");
  if (best !== undefined) return { about, ok: true, words: `yes, ${verifiedWords(best, now)}` };
  if (found.some(({ finding }) => finding === "refused" || finding === "silent"))
    return {
      about,
      ok: false,
      words: "yes, inbound blocked by your router",
      fix: `allow TCP ${self.port} in for IPv6 on the router to be reachable directly`,
    };
  return { about, ok: true, words: "yes, no node outside could be asked about it" };
}

function people(count: number): string {
  return count === 1 ? "1 peer" : `${count} peers`;
}

function listed(names: readonly string[]): string {
  const last = names.at(-1) ?? "";
  return names.length < 2 ? last : `${names.slice(0, -1).join(", ")} and ${last}`;
}
