/** store: what a node keeps on disk, and that it is still readable after `kill -9` and a full disk. */
export { type DatabaseOptions, durably, inTransaction, migrate, openDatabase } from "./database.ts";
export { diskFailure } from "./disk-full.ts";
export { freeBytes } from "./free-space.ts";
export { type Home, openHome } from "./home.ts";
export { openSeed, openToken } from "./key.ts";
export { HomeLock, lockHome } from "./lock.ts";
export { openName } from "./name.ts";
export type { HomeDeps } from "./socket-path.ts";
export { createOnce, writeFileAtomic, type WriteOptions } from "./write-atomic.ts";
