/**
 * core's second door: what needs no schema library, for programs that must start at once (the CLI
 * and the client). The first door loads typebox, which takes longer than `p2prc ls` may.
 */
export { Failure, type FailureCode, type FailureOptions, failures, isFailureCode } from "./errors.ts";
export { isHomeName } from "./home-names.ts";
export { homePath } from "./home-path.ts";
export { localProof } from "./local-proof.ts";
export { parseLocalName } from "./names.ts";
export { type NodeId, parseNodeId, shortNodeId } from "./node-id.ts";
export { cleanText } from "./text.ts";
export { VERSION } from "./version.ts";
export { formatDuration, parseDuration } from "./duration.ts";
export { type GrantWords, parseCores, parseCount, parseGrantWords } from "./grant-words.ts";
export { formatSize, parseSize } from "./size.ts";
export { nearest } from "./nearest.ts";
export { insideProgram } from "./inside-program.ts";
