/** sandbox's second door: what the command line reads before it asks anybody. No schema library is loaded here. */
export { foldReasons, type PassedOver } from "./box/passed-over.ts";
export { drained } from "./resident/drained.ts";
export { encodeFrame, type Frame, type FrameKind, FrameReader, MAX_FRAME_BYTES } from "./resident/frames.ts";
export type { ExecEnd, ExecStart } from "./resident/protocol.ts";
export { type GpuWords, parseBoxName, parseGpuWish, parseImage } from "./words.ts";
export {
  type Copied,
  type CopyDeps,
  copyFiles,
  type CopyPlace,
  type CopyProgress,
  type CopyWish,
} from "./copy/copy-files.ts";
export { includeLine, installInclude, isIncluded, removeInclude } from "./ssh/include.ts";
export { type OpensshKey, opensshKey } from "./ssh/openssh-key.ts";
