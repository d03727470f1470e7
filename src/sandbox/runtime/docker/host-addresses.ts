/** The addresses of this host and the networks they are in, as the system lists them now. */

import { networkInterfaces } from "node:os";

export interface HostAddresses {
  /** Each of them alone: `192.168.1.7`, without zone. */
  readonly addresses: readonly string[];
  /** With the network that each is in: `192.168.1.7/24`. */
  readonly networks: readonly string[];
}

export function hostAddresses(): HostAddresses {
  const found = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const networks = found.flatMap(({ cidr }) => (cidr === null ? [] : [cidr]));
  return {
    addresses: [...new Set(found.map(({ address }) => address))].sort(),
    networks: [...new Set(networks)].sort(),
  };
}
