/** Where a node keeps everything, unless it is told: P2PRC_HOME, else `.p2prc` in the user's own folder. */

import { resolve } from "node:path";
import { Failure } from "./errors.ts";

/** @throws {Failure} bad-argument where it is named and empty: from a variable that is not set, as in `--home "$FOLDER"` */
export function homePath(environment: Readonly<Record<string, string | undefined>>, userFolder: string): string {
  const named = environment["P2PRC_HOME"];
  if (named === undefined) return resolve(userFolder, ".p2prc");
  if (named.trim() !== "") return resolve(named);
  throw new Failure("bad-argument", "the home is named and its name is empty", {
    hint: "give `--home` or P2PRC_HOME a folder, or leave it out for ~/.p2prc",
  });
}
