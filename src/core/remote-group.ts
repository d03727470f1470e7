/** Who counts as one where callers are counted: keys and the addresses inside a /64 cost nothing. */

import { classifyAddress, netgroup } from "./address.ts";

/** Of `192.0.2.7:8088` or `[2001:db8::7]:8088` the machine; a relayed or in-memory caller counts by its text. */
export function remoteGroup(remote: string): string {
  const [, inner, outer = remote] = /^(?:\[([^\]]*)\]|(.*)):\d+$/.exec(remote) ?? [];
  const host = inner ?? outer;
  return classifyAddress(host) === "invalid" ? host : netgroup(host).host;
}
