/** core: the words of this project and the pure rules between them; no I/O. */
export { admits, type Caller, type Role, roles } from "./caller.ts";
export { DEFAULT_PORT, type Endpoint, formatEndpoint } from "./endpoint.ts";
export { Failure, type FailureCode, type FailureOptions, failures, isFailureCode } from "./errors.ts";
export {
  isNodeId,
  type NodeId,
  NODE_ID_PATTERN,
  nodeIdFromPublicKey,
  PUBLIC_KEY_BYTES,
  publicKeyFromNodeId,
  shortNodeId,
} from "./node-id.ts";
export {
  isSignedBy,
  MAX_BODY_BYTES,
  MAX_RECORD_BYTES,
  MAX_SEQ,
  natKinds,
  NodeRecord,
  privateKeyFromSeed,
  readRecord,
  Resources,
  SignedRecord,
  signRecord,
  verifyRecord,
} from "./record.ts";
export { type FailureReply, failureReply, PROGRESS_TYPE, progressLines } from "./progress.ts";
export { cleanText, isCleanText } from "./text.ts";
export {
  type AddressKind,
  AllowedNetworks,
  canonicalAddress,
  classifyAddress,
  isNearby,
  mayDialGossiped,
  type Netgroup,
  netgroup,
  noNetworks,
} from "./address.ts";
export { remoteGroup } from "./remote-group.ts";
export { localNameFor, type Named, parseLocalName, resolveName, shownName } from "./names.ts";
export { byRank, type Rank, type Rankable, rank, type RankPart } from "./rank.ts";
export { formatDuration, MAX_DURATION_MS, parseDuration } from "./duration.ts";
export { type Demand, defaultGrant, type Excess, exceeds, Grant, isLive } from "./grant.ts";
export { type GrantWords, parseCount, parseGrantWords, parseUntil } from "./grant-words.ts";
export { formatInvite, formatToken, type Invite, parseInvite, TOKEN_BYTES } from "./invite.ts";
export { formatSize, parseSize } from "./size.ts";
export { nearest } from "./nearest.ts";
export { twoWords } from "./words.ts";
export { localProof } from "./local-proof.ts";
export { VERSION } from "./version.ts";
export { parseEndpoint } from "./parse-endpoint.ts";
export { insideProgram } from "./inside-program.ts";
