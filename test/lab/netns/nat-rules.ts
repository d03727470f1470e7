/** What routers of each kind do with packets, as nftables rules: eth0 is the way out, `switch` is inside. */

import type { RouterKind } from "./nat-topology.ts";

/** What passes a router in neither direction, from now on: `reset` answers for the far end. */
export interface Policy {
  readonly udp?: "drop";
  readonly tcp?: "drop" | "reset";
}

export function hasIpv6(kind: RouterKind): boolean {
  return kind === "ipv6-firewall" || kind === "upnp-ipv6";
}

export function hasUpnp(kind: RouterKind): boolean {
  return kind === "upnp" || kind === "upnp-ipv6";
}

/** The policy that a router of this kind starts with. */
export function policyOf(kind: RouterKind): Policy {
  return kind === "udp-blocked" ? { udp: "drop" } : {};
}

/** In place of whatever was there before. */
export function routerRules(kind: RouterKind): string {
  const isCone = kind === "fullcone";
  return `flush ruleset
table inet router {
  ${isCone ? "map cone { typeof udp dport : ip saddr . udp sport; flags dynamic,timeout; timeout 2m; size 4096; }" : ""}
  chain forward {
    type filter hook forward priority 0; policy drop;
    iifname "switch" accept
    ct state established,related accept
    ct status dnat accept
    jump upnp
  }
  chain input {
    type filter hook input priority 0; policy drop;
    iifname != "eth0" accept
    ct state established,related accept
    meta l4proto { icmp, icmpv6 } accept
  }
  chain prerouting {
    type nat hook prerouting priority -100;
    ${isCone ? 'iifname "eth0" dnat ip to udp dport map @cone' : ""}
    jump upnp_in
  }
  chain postrouting {
    type nat hook postrouting priority 100;
    ${isCone ? 'oifname "eth0" update @cone { udp sport : ip saddr . udp sport }' : ""}
    jump upnp_out
    oifname "eth0" meta nfproto ipv4 masquerade ${kind === "symmetric" ? "fully-random" : ""}
  }
  chain upnp { }
  chain upnp_in { }
  chain upnp_out { }
}
`;
}

/** In place of the policy before, and before the rules of the kind: what is on its way is stopped too. */
export function policyRules({ udp, tcp }: Policy): string {
  return `add table inet passing
delete table inet passing
table inet passing {
  chain forward {
    type filter hook forward priority -10;
    ${udp === undefined ? "" : "meta l4proto udp drop"}
    ${tcp === undefined ? "" : `meta l4proto tcp ${tcp === "drop" ? "drop" : "reject with tcp reset"}`}
  }
}
`;
}

/** For miniupnpd, which fills the chains that are empty above. @param claimed the address that it says it has */
export function upnpConfig(kind: RouterKind, claimed: string | undefined): string {
  return `ext_ifname=eth0
${claimed === undefined ? "" : `ext_ip=${claimed}`}
${hasIpv6(kind) ? "ext_ifname6=eth0" : "ipv6_disable=yes"}
listening_ip=switch
port=0
enable_upnp=yes
enable_natpmp=yes
secure_mode=yes
uuid=95ae6fef-c18a-4346-ab14-ec5166750766
upnp_table_name=router
upnp_nat_table_name=router
upnp_forward_chain=upnp
upnp_nat_chain=upnp_in
upnp_nat_postrouting_chain=upnp_out
allow 1024-65535 0.0.0.0/0 1024-65535
`;
}
