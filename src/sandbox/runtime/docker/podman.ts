/** What Podman must be told otherwise than Docker, and lies on this machine. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../../store/index.ts";
import { seccompProfile } from "./seccomp.ts";

export interface PodmanWays {
  /** The filter of system calls: it reads a file, where Docker takes the text. */
  readonly seccompFile: string;
  /** Of one user, in all sandboxes: it asks for a million by itself, which is refused to it where this machine has fewer. */
  readonly maxProcesses: number;
}

const PODMANS_OWN = 1_048_576;
const HARD_LIMIT = /^Max processes\s+\S+\s+(\d+)/mu;

/** @param home the node's own folder */
export async function openPodmanWays(home: string): Promise<PodmanWays> {
  const seccompFile = join(home, "seccomp-podman.json");
  await writeFileAtomic(seccompFile, JSON.stringify(seccompProfile()));
  return { seccompFile, maxProcesses: parseMaxProcesses(await readFile("/proc/self/limits", "utf8")) };
}

/** @param limits as `/proc/<pid>/limits` has them */
export function parseMaxProcesses(limits: string): number {
  return Math.min(PODMANS_OWN, Number(HARD_LIMIT.exec(limits)?.[1] ?? PODMANS_OWN));
}
