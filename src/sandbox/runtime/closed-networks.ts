/** Addresses that no sandbox may reach: what is not the public internet, and this machine with the networks it is on. */

import type { NetworkInterfaceInfo } from "node:os";

export interface ClosedNetworks {
  readonly four: readonly string[];
  readonly six: readonly string[];
}

/** security.md T19; RFC 6890 for what it does not name. 169.254.0.0/16 has the metadata service of most clouds. */
export const CLOSED_4: readonly string[] = [
  ...["0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24"],
  ...["192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"],
  ...["224.0.0.0/4", "240.0.0.0/4"],
];
/** Outside of 2000::/3 all is closed by a rule of its own; these are in it and carry IPv4 addresses, or are no internet. */
const CLOSED_6 = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/** @param interfaces as Node's os.networkInterfaces() tells them */
export function closedNetworks(
  interfaces: Readonly<Record<string, NetworkInterfaceInfo[] | undefined>>,
): ClosedNetworks {
  const own = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  // The network of the interface, or where it has none the address alone.
  const networks = (family: "IPv4" | "IPv6") =>
    own.flatMap((one) => (one.family === family ? [one.cidr?.replace(/%[^/]*/u, "") ?? one.address] : []));
  return { four: unique([...CLOSED_4, ...networks("IPv4")]), six: unique([...CLOSED_6, ...networks("IPv6")]) };
}

/** Own addresses that something of this machine could listen on, beyond loopback. */
export function ownAddresses(
  interfaces: Readonly<Record<string, NetworkInterfaceInfo[] | undefined>>,
): readonly string[] {
  const own = Object.values(interfaces).flatMap((addresses) => addresses ?? []);
  // Those of one link alone need the link's name, which inside is another.
  return unique(own.filter(({ internal, scopeid }) => !internal && (scopeid ?? 0) === 0).map(({ address }) => address));
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].sort();
}
