/** nat: how others reach this node: port mapping, what others see of it, relays. */
export { Arrivals, type ArrivalsDeps } from "./relay/arrivals.ts";
export { type RelayRank } from "./relay/quotas.ts";
export { Relay, type RelayDeps, type RelayOptions } from "./relay/relay.ts";
export { RelayedWays, type RelayedWaysDeps } from "./relay/relayed-ways.ts";
