/** The network of one sandbox: its rules first, then the way out, and later whether both are as they were. */

import { networkInterfaces } from "node:os";
import { type ClosedNetworks, closedNetworks, ownAddresses } from "../closed-networks.ts";
import { closedAgain, filterRules, SHOW_RULES } from "./filter.ts";
import { runTool } from "./run-tool.ts";
import type { SandboxRecord } from "./sandbox-folder.ts";
import type { Tools } from "./tools.ts";
import { nameserverOf } from "./uplink.ts";
import type { Users } from "./uid-ranges.ts";

export interface NetworkDeps {
  readonly tools: Tools;
}

export function currentClosed(): ClosedNetworks {
  return closedNetworks(networkInterfaces());
}

/** Where canaries can sit: every address of this machine, and its loopback. */
export function canaryHosts(): readonly string[] {
  return ["127.0.0.1", ...ownAddresses(networkInterfaces())];
}

export interface Inhabited {
  /** A process in the namespaces. */
  readonly pid: number;
  readonly users: Users;
}

/** @returns the rules as the kernel shows them */
export async function loadFilter(where: Inhabited, { tools }: NetworkDeps, signal: AbortSignal): Promise<string> {
  const rules = filterRules(currentClosed(), nameserverOf(tools));
  await nft(where, { tools, words: ["-f", "-"], input: rules }, signal);
  return await showFilter(where, { tools }, signal);
}

/** The addresses of this machine have changed. @returns the rules as the kernel shows them */
export async function closeAgain(where: Inhabited, { tools }: NetworkDeps, signal: AbortSignal): Promise<string> {
  await nft(where, { tools, words: ["-f", "-"], input: closedAgain(currentClosed()) }, signal);
  return await showFilter(where, { tools }, signal);
}

export function showFilter(where: Inhabited, { tools }: NetworkDeps, signal: AbortSignal): Promise<string> {
  return nft(where, { tools, words: SHOW_RULES }, signal);
}

/** The process of a sandbox that is in its first namespaces: the rules' owner, of which those inside are no part in `strict`. */
export function inhabited({ monitor, users }: SandboxRecord): Inhabited | undefined {
  return monitor === undefined ? undefined : { pid: monitor.pid, users };
}

interface NftWords {
  readonly tools: Tools;
  readonly words: readonly string[];
  readonly input?: string;
}

/** As the sandbox's own user, who owns the namespaces and is nobody elsewhere. */
function nft({ pid, users }: Inhabited, { tools, words, input }: NftWords, signal: AbortSignal): Promise<string> {
  const enter = [tools.nsenter, "--target", String(pid), "--user", "--net", "--preserve-credentials", "--"] as const;
  const uid = process.getuid?.() === 0 ? users.outer : undefined;
  return runTool([...enter, tools.nft ?? "nft", ...words], { uid, ...(input === undefined ? {} : { input }) }, signal);
}
