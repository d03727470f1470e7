/**
 * What may leave a sandbox: rules in its own network namespace, loaded from outside before anybody is in it. Those inside
 * hold no right over them; whoever enters from outside would, so nobody does.
 */

import type { ClosedNetworks } from "../closed-networks.ts";

/** Never routed anywhere (RFC 3927): what carries the packets takes it for a question to the owner's resolver. */
export const NAMESERVER = "169.254.1.53";

/** Mail and chat that spammers use, telnet and Windows shares that worms use: security.md T20. */
const REFUSED_PORTS = "23, 25, 445, 465, 587, 6660-6669";
/** Enough for a browser's burst or `npm install`, too little for a scan of anything. */
const NEW_PER_SECOND = 20;
const BURST = 200;
const MAX_FLOWS = 512;

const TABLE = "inet p2prc";

/** For `nft -f -`, which does all of it or nothing. */
export function filterRules(closed: ClosedNetworks, nameserver: string): string {
  return `table ${TABLE} {
  set closed4 { type ipv4_addr; flags interval; auto-merge; elements = { ${closed.four.join(", ")} } }
  set closed6 { type ipv6_addr; flags interval; auto-merge; elements = { ${closed.six.join(", ")} } }
  chain output {
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    ip daddr ${nameserver} meta l4proto { tcp, udp } th dport 53 accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit } accept
    ip daddr @closed4 counter reject with icmpx admin-prohibited
    ip6 daddr @closed6 counter reject with icmpx admin-prohibited
    ip6 daddr != 2000::/3 counter reject with icmpx admin-prohibited
    tcp dport { ${REFUSED_PORTS} } counter reject with tcp reset
    ct state established,related accept
    ct state new ct count over ${MAX_FLOWS} counter reject with icmpx admin-prohibited
    ct state new limit rate over ${NEW_PER_SECOND}/second burst ${BURST} packets counter drop
    ct state new accept
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert } accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
  }
}
`;
}

/** The same with other networks, in one step. */
export function closedAgain(closed: ClosedNetworks): string {
  return `flush set ${TABLE} closed4
flush set ${TABLE} closed6
add element ${TABLE} closed4 { ${closed.four.join(", ")} }
add element ${TABLE} closed6 { ${closed.six.join(", ")} }
`;
}

/** What the kernel has now, without counters, to be compared. */
export const SHOW_RULES = ["-s", "list", "table", "inet", "p2prc"] as const;
