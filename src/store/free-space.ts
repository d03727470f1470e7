/** How much room is left, before something does not fit. */

import { statfsSync } from "node:fs";

/** Bytes that this user may still write in `folder`; undefined where the system does not say. */
export function freeBytes(folder: string): number | undefined {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize;
  } catch {
    return undefined; // a folder that is gone, a file system that does not count: not a reason to say nothing else
  }
}
