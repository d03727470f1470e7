/** The programs of the system that make the walls, and what is missing without each. */

import { findTool, runTool } from "./run-tool.ts";

export interface Tools {
  readonly bwrap: string;
  readonly unshare: string;
  readonly prlimit: string;
  readonly nsenter: string;
  readonly setpriv: string;
  readonly mount: string | undefined;
  readonly newuidmap: string | undefined;
  readonly newgidmap: string | undefined;
  readonly nft: string | undefined;
  readonly pasta: string | undefined;
  readonly slirp4netns: string | undefined;
  readonly du: string | undefined;
}

/** @returns undefined where one is missing without which there are no sandboxes */
export async function findTools(path: string): Promise<Tools | undefined> {
  const find = (name: string) => findTool(name, path);
  const [bwrap, ...utilLinux] = await Promise.all(["bwrap", "unshare", "prlimit", "nsenter", "setpriv"].map(find));
  const [mount, newuidmap, newgidmap] = await Promise.all(["mount", "newuidmap", "newgidmap"].map(find));
  const [nft, pasta, slirp4netns, du] = await Promise.all(["nft", "pasta", "slirp4netns", "du"].map(find));
  const [unshare, prlimit, nsenter, setpriv] = utilLinux;
  if (bwrap === undefined || unshare === undefined || prlimit === undefined) return undefined;
  if (nsenter === undefined || setpriv === undefined) return undefined;
  return { bwrap, unshare, prlimit, nsenter, setpriv, mount, newuidmap, newgidmap, nft, pasta, slirp4netns, du };
}

/** What this bubblewrap is, and whether it knows an option that came later than the oldest in use. */
export async function askBubblewrap(
  { bwrap }: Tools,
  signal: AbortSignal,
): Promise<{ readonly version: string; readonly disableUserns: boolean }> {
  const [version, help] = await Promise.all([
    runTool([bwrap, "--version"], {}, signal),
    runTool([bwrap, "--help"], {}, signal),
  ]);
  return { version: version.trim().replace(/^bubblewrap /u, ""), disableUserns: help.includes("--disable-userns") };
}
