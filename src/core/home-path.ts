/** Where a node keeps everything, unless it is told: P2PRC_HOME, else `.p2prc` in the user's own folder. */

import { join, resolve } from "node:path";

export function homePath(environment: Readonly<Record<string, string | undefined>>, userFolder: string): string {
  const named = environment["P2PRC_HOME"];
  return resolve(named === undefined || named === "" ? join(userFolder, ".p2prc") : named);
}
