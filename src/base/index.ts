/** base: tools that know nothing of this project. */
export { type Clock, systemClock } from "./clock.ts";
export { isRunning } from "./is-running.ts";
export { type Facts, type Log, silentLog } from "./log.ts";
export { makeFolder } from "./make-folder.ts";
export * as nodeHttp from "./node-http.ts";
export { LruMap } from "./lru-map.ts";
export { passingBytes } from "./passing-bytes.ts";
export { type Random, randomBelow, seededRandom, shuffled, systemRandom } from "./random.ts";
export { isAbort, Scope } from "./scope.ts";
export { keepHeapSmall, sweepHeap } from "./small-heap.ts";
export { splice } from "./splice.ts";
export { TokenBuckets, type TokenBucketOptions } from "./token-bucket.ts";
export { Topic } from "./topic.ts";
export { within } from "./within.ts";
