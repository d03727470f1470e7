/** netns: a network of Linux namespaces on this machine, with delay, loss, firewalls and partitions. */
export type { Shape } from "./cable.ts";
export { type Internet, NatLab } from "./nat-lab.ts";
export { type HostName, ROUTER_KINDS } from "./nat-topology.ts";
export { NetnsHost, type NetnsHostOptions, type Rule } from "./netns-host.ts";
export { NetnsLab, type Topology } from "./netns-lab.ts";
export { NetnsNode, NetnsNodes } from "./netns-node.ts";
export { NetnsProcess, type SpawnOptions } from "./netns-process.ts";
export type { Router } from "./router.ts";
export { sweepLabs } from "./sweep.ts";
export { whyNoLab, whyNoNatLab, whyNoShapedLab, whyNoUpnpLab } from "./why-no-lab.ts";
