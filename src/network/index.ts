/** network: from a NodeId to a Link: identity, carriers, dialling. */
export { Answering, decodeTarget, type RawRequest, type RawResponse, type Requests, type Tunnel } from "./answering.ts";
export { ask, failureFrom, type Question, readText, wasTold, wholeBody } from "./ask.ts";
export type { Carrier, DialRequest, Listener, ListenOptions, Pipe } from "./carrier.ts";
export { type Errand, openErrand } from "./errand.ts";
export { type Identity, identityFromSeed } from "./identity.ts";
export {
  type Brought,
  type Ended,
  type InnerDial,
  InnerTls,
  type InnerTlsOptions,
  type Passed,
} from "./inner-tls.ts";
export { encodeLastWord, type LastWord } from "./last-word.ts";
export {
  type Dialable,
  betterThan,
  type Link,
  type LinkReply,
  type LinkRequest,
  type Path,
  type PathKind,
  pathKinds,
  type Reach,
} from "./link.ts";
export { Network, type NetworkDeps, type NetworkOptions, type ReverseLink } from "./network.ts";
export type { Hindrance, Passage, PassageWay } from "./passage.ts";
export { type Proof, proofFor, proveLinks } from "./prove-links.ts";
export { FoundByKey } from "./punch/found-by-key.ts";
export type { Found } from "./punch/key-record.ts";
export type { PunchRole } from "./punch/presence.ts";
export { Punch, type PunchDeps, type PunchOptions } from "./punch/punch.ts";
export type { PunchState } from "./punch/punch-state.ts";
export type { Attempt } from "./race.ts";
export { TcpCarrier, type TcpCarrierDeps, type TcpCarrierOptions } from "./tcp-carrier.ts";
