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
  parseNodeId,
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
  publicKeyObject,
  readRecord,
  Resources,
  SignedRecord,
  signRecord,
  verifyRecord,
} from "./record.ts";
export { type FailureReply, failureReply, PROGRESS_TYPE, progressLines } from "./progress.ts";
export { cleanText, isCleanText } from "./text.ts";
