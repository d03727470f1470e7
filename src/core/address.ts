/**
 * What kind of place an IP address is, and whether one that a stranger told us may be dialled.
 *
 * A table that dials what others say could be turned into a scanner or a weapon (doc/p2p-bad-ports.md of
 * Bitcoin, RFC 6890), so gossip may only name public unicast addresses and networks that a person
 * allowed. Addresses that carry an IPv4 address inside an IPv6 one are never public: they would
 * let a stranger spell 127.0.0.1 in six ways.
 */

import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import type { Endpoint } from "./endpoint.ts";
import { Failure } from "./errors.ts";

type Parsed = ipaddr.IPv4 | ipaddr.IPv6;
type Network = [Parsed, number];

export type AddressKind =
  | "public"
  | "loopback"
  | "lan"
  | "linklocal"
  /** RFC 6598: between a provider and its customers, and inside some VPNs. */
  | "cgnat"
  | "multicast"
  | "documentation"
  /** An IPv4 address in IPv6 clothes: mapped, compatible, translated (NAT64), 6to4, Teredo, ISATAP. */
  | "embedded"
  /** All else that is not for one host on the internet. */
  | "reserved"
  /** Not an IP address. */
  | "invalid";

const DOCUMENTATION = networks("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20");
const GLOBAL_UNICAST_6 = network("2000::/3");
/** What the registry (RFC 6890) keeps for tests and plumbing inside the global range: 2001::/23, AS112, old 6bone. */
const SPECIAL_6 = networks("2001::/23", "2620:4f:8000::/48", "3ffe::/16", "5f00::/16");
const NAT64_ANYWHERE = networks("64:ff9b::/96", "64:ff9b:1::/48");
/** RFC 4291 section 2.5.5.1 (IPv4-compatible) and RFC 2765 (translated). */
const CARRIES_IPV4 = networks("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96");

const KINDS: Readonly<Record<string, AddressKind>> = {
  unicast: "public",
  loopback: "loopback",
  private: "lan",
  uniqueLocal: "lan",
  linkLocal: "linklocal",
  carrierGradeNat: "cgnat",
  multicast: "multicast",
  ipv4Mapped: "embedded",
  rfc6145: "embedded",
  rfc6052: "embedded",
  "6to4": "embedded",
  teredo: "embedded",
};

export function classifyAddress(text: string): AddressKind {
  const address = parse(text);
  if (address === undefined) return "invalid";
  if (isWithin(address, DOCUMENTATION)) return "documentation";
  const kind = KINDS[address.range()] ?? "reserved";
  return address.kind() === "ipv6" ? classify6(address as ipaddr.IPv6, kind) : kind;
}

function classify6(address: ipaddr.IPv6, kind: AddressKind): AddressKind {
  if (kind === "loopback" || address.range() === "unspecified") return kind;
  if (isWithin(address, NAT64_ANYWHERE) || isWithin(address, CARRIES_IPV4) || isIsatap(address)) return "embedded";
  if (kind !== "public") return kind;
  return isWithin(address, [GLOBAL_UNICAST_6]) && !isWithin(address, SPECIAL_6) ? "public" : "reserved";
}

/** RFC 5214 section 6.1: an interface identifier of `(02)00:5efe` and an IPv4 address. */
function isIsatap({ parts }: ipaddr.IPv6): boolean {
  return parts[5] === 0x5efe && (parts[4] === 0 || parts[4] === 0x0200);
}

/** Networks that a person named with `--allow-network`: a VPN, an intranet, a test lab. */
export class AllowedNetworks {
  readonly #networks: readonly Network[];

  /** @param texts as typed: `100.64.0.0/10`, `fd00::/8`, or one address @throws {Failure} bad-argument */
  static parse(texts: readonly string[]): AllowedNetworks {
    return new AllowedNetworks(texts.map(parseNetwork));
  }

  private constructor(allowed: readonly Network[]) {
    this.#networks = allowed;
  }

  includes(address: string): boolean {
    const parsed = parse(address);
    return parsed !== undefined && isWithin(parsed, this.#networks);
  }
}

export const noNetworks = AllowedNetworks.parse([]);

/** Whether the address is on this machine, on a network beside it, or on one that a person named. */
export function isNearby(address: string, allowed: AllowedNetworks): boolean {
  const kind = classifyAddress(address);
  return kind === "loopback" || kind === "lan" || kind === "linklocal" || allowed.includes(address);
}

/**
 * Ports above 1023 where other programs listen that a stray handshake may upset, or that a browser
 * or Bitcoin refuses (doc/p2p-bad-ports.md, https://fetch.spec.whatwg.org/#port-blocking).
 */
const OTHERS_PORTS = new Set([
  1433, 1434, 1521, 1719, 1720, 1723, 1883, 2049, 2181, 2375, 2376, 2379, 2380, 3128, 3306, 3389, 3659, 4045, 4190,
  5060, 5061, 5222, 5432, 5433, 5672, 5900, 5901, 5984, 5985, 5986, 6000, 6379, 6443, 6566, 6665, 6666, 6667, 6668,
  6669, 6697, 7000, 8333, 9042, 9092, 9100, 9200, 9300, 10080, 10250, 11211, 15672, 18333, 27017,
]);

/**
 * Whether an endpoint that came by gossip may be dialled at all.
 *
 * Ports below 1024 may not, 80 and 443 included: a node behind such a port is still reached by invite, by
 * hand or through another node, whereas a thousand nodes knocking at one web server is what an attacker wants.
 * In networks that a person named every port may.
 */
export function mayDialGossiped({ host, port }: Endpoint, allowed: AllowedNetworks): boolean {
  if (port < 1 || port > 65_535) return false;
  if (host.includes("%")) return false; // a zone names an interface of this machine
  if (allowed.includes(host)) return true;
  return port >= 1024 && !OTHERS_PORTS.has(port) && classifyAddress(host) === "public";
}

/** Who shares an address: one machine, one small network, one large one. Caps and diversity are counted in them. */
export interface Netgroup {
  /** The address itself; for IPv6 its /64, which is what one machine is given. */
  readonly host: string;
  /** /24 or /48. */
  readonly site: string;
  /** /16 or /32. */
  readonly provider: string;
}

/** @throws {RangeError} when it is not an IP address */
export function netgroup(address: string): Netgroup {
  const parsed = parse(address);
  if (parsed === undefined) throw new RangeError(`not an IP address: "${address}"`);
  const bytes = parsed.toByteArray();
  const first = (count: number) => `${bytes.length}:${bytes.slice(0, count).join(".")}`;
  if (parsed.kind() === "ipv4") return { host: first(4), site: first(3), provider: first(2) };
  return { host: first(8), site: first(6), provider: first(4) };
}

/** One spelling for each address: lower case, zeros shortened. Undefined when it is none. */
export function canonicalAddress(text: string): string | undefined {
  return parse(text)?.toString();
}

/** `isIP` is strict where ipaddr.js takes `010.1` and `0x7f.1` for addresses. */
function parse(text: string): Parsed | undefined {
  return isIP(text) === 0 ? undefined : ipaddr.parse(text);
}

function isWithin(address: Parsed, allowed: readonly Network[]): boolean {
  return allowed.some(([base, bits]) => base.kind() === address.kind() && address.match(base, bits));
}

function parseNetwork(text: string): Network {
  const [base = "", bits, ...rest] = text.trim().split("/");
  const address = parse(base);
  const length = bits === undefined ? undefined : Number(bits);
  const most = address?.kind() === "ipv4" ? 32 : 128;
  const sane = length === undefined || (/^\d{1,3}$/.test(bits ?? "") && length <= most);
  if (address === undefined || !sane || rest.length > 0) {
    throw new Failure("bad-argument", `not a network: "${text.slice(0, 80)}"`, {
      hint: "write it as `--allow-network 100.64.0.0/10`",
    });
  }
  return [address, length ?? most];
}

function network(text: string): Network {
  return ipaddr.parseCIDR(text);
}

function networks(...texts: string[]): readonly Network[] {
  return texts.map(network);
}
