/** nat: how others reach this node: port mapping, what others see of it, relays. */
export { DialBack, type DialBackDeps } from "./reachability/dial-back.ts";
export { type Helper, Reachability, type ReachabilityDeps } from "./reachability/reachability.ts";
export { ReachReply } from "./reachability/contract.ts";
export { describeReach, type ReachFacts } from "./reachability/words.ts";
export { type Mapped, unmapped } from "./mapping/state.ts";
export { type ReachRoutesDeps, serveReach } from "./reachability/serve.ts";
export type { Candidate, Reachable, Self, Verdict } from "./reachability/verdict.ts";
export { Arrivals, type ArrivalsDeps } from "./relay/arrivals.ts";
export { askRegister } from "./relay/ask.ts";
export { type RelayMode, relayModes, RelayStatus } from "./relay/contract.ts";
export { KeepRelays, type KeepRelaysDeps, type RelayCandidate } from "./relay/keep-relays.ts";
export type { RelayRank } from "./relay/quotas.ts";
export { Relay, type RelayDeps, type RelayOptions } from "./relay/relay.ts";
export { RelayedWays, type RelayedWaysDeps } from "./relay/relayed-ways.ts";
export { type RelayRoutesDeps, serveRelay } from "./relay/serve.ts";
