/** Where something listens: a literal IP address or a host name, and a port. */

import { isIPv6 } from "node:net";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export const DEFAULT_PORT = 8088;

export function formatEndpoint({ host, port }: Endpoint): string {
  return isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
}
