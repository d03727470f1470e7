/**
 * What a sandbox with a network may reach: the internet, and nothing that is the owner's.
 *
 * Rules for `nft` in the sandbox's own network namespace, written by the companion before anything of the guest runs; the
 * guest has no right to change them. Refused are the networks of RFC 6890 that are not public, this host's own addresses and
 * its LANs, all of IPv6 (our network has none), mail and other ports that abuse is known for, and what comes in unasked.
 */

import ipaddr from "ipaddr.js";
import { CLOSED_4 } from "../closed-networks.ts";

/** telnet, mail, SMB and IRC: a node must not become a source of spam. */
const BAD_PORTS = "{ 23, 25, 445, 465, 587, 6660-6669 }";
/** A page of a browser opens 50 at once; a scanner thousands. */
const NEW_PER_SECOND = 20;
const NEW_BURST = 200;
const MAX_CONNECTIONS = 512;

const TABLE = "inet p2prc";

export interface EgressOptions {
  /** Addresses and networks of this host, beside CLOSED_4: `203.0.113.7/24`. */
  readonly own: readonly string[];
}

/** One line, all of it or nothing: whatever stood in the table before is gone. */
export function egressCommand({ own }: EgressOptions): string {
  const refused = refusedNetworks(own).join(", ");
  const refuse = "reject with icmpx type admin-prohibited";
  const output = [
    // The engine answers names for all containers at 127.0.0.11, and would tell who else is here.
    `ip daddr 127.0.0.11 ${refuse}`,
    `oifname "lo" accept`,
    `meta nfproto ipv6 ${refuse}`,
    `ip daddr @refused ${refuse}`,
    `tcp dport ${BAD_PORTS} ${refuse}`,
    "ct state established,related accept",
    `ct count over ${MAX_CONNECTIONS} ${refuse}`,
    `ct state new limit rate over ${NEW_PER_SECOND}/second burst ${NEW_BURST} packets ${refuse}`,
    "accept",
  ];
  const input = [`iifname "lo" accept`, "meta nfproto ipv6 drop", "ct state established,related accept"];
  return [
    `add table ${TABLE}`,
    `delete table ${TABLE}`,
    `add table ${TABLE}`,
    `add set ${TABLE} refused { type ipv4_addr; flags interval; auto-merge; }`,
    `add element ${TABLE} refused { ${refused} }`,
    // Before the engine's own redirection of 127.0.0.11 (-100), after conntrack (-200).
    `add chain ${TABLE} output { type filter hook output priority -150; policy drop; }`,
    `add chain ${TABLE} input { type filter hook input priority -150; policy drop; }`,
    `add chain ${TABLE} forward { type filter hook forward priority -150; policy drop; }`,
    ...output.map((rule) => `add rule ${TABLE} output ${rule}`),
    ...input.map((rule) => `add rule ${TABLE} input ${rule}`),
  ].join("; ");
}

export const LIST_COMMAND = `list table ${TABLE}`;

/** What the rules that stand in a namespace lack, in words. Empty: they are what `egressCommand` writes. */
export function egressFaults(listing: string, { own }: EgressOptions): readonly string[] {
  const table = parseListing(listing);
  const faults: string[] = [];
  for (const { hook, rules } of CHAINS) {
    const chain = table.chains.find((candidate) => candidate.hook === hook);
    if (chain?.policy !== "drop") faults.push(`nothing stops what is not allowed (${hook})`);
    const found = table.rules.filter((name) => name === hook).length;
    if (found !== rules) faults.push(`${found} rules of ${rules} stand (${hook})`);
  }
  const missing = refusedNetworks(own).filter((network) => !table.refused.some((range) => covers(range, network)));
  if (missing.length > 0) faults.push(`not refused any more: ${missing.join(", ")}`);
  return faults;
}

const CHAINS = [
  { hook: "output", rules: 9 },
  { hook: "input", rules: 3 },
  { hook: "forward", rules: 0 },
];

type Range = readonly [first: number, last: number];

interface Listing {
  readonly chains: readonly { readonly hook?: string; readonly policy?: string }[];
  /** The chain of each. */
  readonly rules: readonly (string | undefined)[];
  readonly refused: readonly Range[];
}

/** As `nft -j list` says it. */
interface ListedItem {
  readonly chain?: { readonly hook?: string; readonly policy?: string };
  readonly rule?: { readonly chain?: string };
  readonly set?: { readonly name?: string; readonly elem?: readonly ListedElement[] };
}
type ListedElement =
  | string
  | { readonly prefix: { readonly addr: string; readonly len: number } }
  | { readonly range: readonly [string, string] };

function parseListing(listing: string): Listing {
  const { nftables = [] } = JSON.parse(listing) as { readonly nftables?: readonly ListedItem[] };
  const elements = nftables.flatMap(({ set }) => (set?.name === "refused" ? (set.elem ?? []) : []));
  return {
    chains: nftables.flatMap(({ chain }) => (chain === undefined ? [] : [chain])),
    rules: nftables.flatMap(({ rule }) => (rule === undefined ? [] : [rule.chain])),
    refused: elements.map(rangeOf),
  };
}

function rangeOf(element: ListedElement): Range {
  if (typeof element === "string") return [numberOf(element), numberOf(element)];
  if ("range" in element) return [numberOf(element.range[0]), numberOf(element.range[1])];
  return networkRange(`${element.prefix.addr}/${element.prefix.len}`);
}

function covers([first, last]: Range, network: string): boolean {
  const [from, to] = networkRange(network);
  return first <= from && to <= last;
}

function networkRange(network: string): Range {
  const first = numberOf(ipaddr.IPv4.networkAddressFromCIDR(network).toString());
  const last = numberOf(ipaddr.IPv4.broadcastAddressFromCIDR(network).toString());
  return [first, last];
}

const numberOf = (address: string): number => address.split(".").reduce((sum, byte) => sum * 256 + Number(byte), 0);

/** All of IPv6 is refused anyway, so only IPv4 is listed. */
function refusedNetworks(own: readonly string[]): readonly string[] {
  const networks = own.filter((text) => ipaddr.IPv4.isValidCIDR(text));
  const masked = networks.map((text) => {
    const [, bits] = ipaddr.IPv4.parseCIDR(text);
    return `${ipaddr.IPv4.networkAddressFromCIDR(text).toString()}/${bits}`;
  });
  return [...new Set([...CLOSED_4, ...masked])];
}
