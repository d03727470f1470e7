/** Asks again where the link broke: three times in all. */

import type { Clock } from "../../base/index.ts";
import { Failure, type FailureCode } from "../../core/light.ts";
import { CutShort } from "../resident/refusal.ts";

/** A link that was moved to another path is back at once; a node that starts anew takes some seconds. */
const PAUSES_MS = [500, 4_000];
const PASSING: ReadonlySet<FailureCode> = new Set(["link-lost", "unreachable", "timed-out"]);

export interface TriesDeps {
  readonly clock: Clock;
  readonly onRetry: (why: string) => void;
}

/** @param attempt told whether it is the first */
export async function withTries<T>(
  { clock, onRetry }: TriesDeps,
  attempt: (first: boolean) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  for (const [count, pauseMs] of PAUSES_MS.entries()) {
    try {
      return await attempt(count === 0);
    } catch (error) {
      signal.throwIfAborted();
      if (!isPassing(error)) throw error;
      onRetry(error instanceof Error ? error.message : String(error));
      await clock.sleep(pauseMs, signal);
    }
  }
  return await attempt(false);
}

function isPassing(error: unknown): boolean {
  return error instanceof CutShort || (error instanceof Failure && PASSING.has(error.code));
}
