/** Why a link to a node was cut off a moment ago, where the daemon was told: as by a relay of which a limit was reached. */

import type { Clock } from "../base/index.ts";
import type { Client } from "../client/index.ts";
import { cleanText, Failure } from "../core/light.ts";

/** Whoever asks does so at once. */
const RECENT_MS = 15_000;

export interface WhyCutOptions {
  readonly clock: Pick<Clock, "wallTime">;
  readonly signal: AbortSignal;
}

/** @returns as it follows upon the words that it was cut off; empty where nobody knows */
export async function whyCut(client: Client, node: string, { clock, signal }: WhyCutOptions): Promise<string> {
  try {
    const { attempts } = await client.why(node, signal);
    const since = clock.wallTime() - RECENT_MS;
    const last = attempts.findLast(({ outcome, at }) => outcome === "link-lost" && at >= since);
    return last === undefined ? "" : ` (${cleanText(last.reason, 300)})`;
  } catch (error) {
    if (error instanceof Failure) return ""; // that it was cut off is said all the same
    throw error;
  }
}
