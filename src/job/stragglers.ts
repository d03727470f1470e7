/** What a sandbox that has nothing else to do can do for the others, near the end of a job. */

import type { Attempt } from "./schedule.ts";

export interface Box {
  readonly name: string;
  /** 0: it is away. */
  slots: number;
  /** In the order in which they were given to it: the first ones have its slots. */
  readonly attempts: Running[];
  /** Whether it is being given as much ahead as it may have. */
  filling: boolean;
}

export interface Running extends Attempt {
  readonly takenAt: number;
  startedAt: number | undefined;
}

/** A task that somebody works on, or that was tried before. */
export interface Live {
  readonly attempts: Set<Attempt>;
  readonly failedOn: Set<string>;
  failures: number;
  losses: number;
  /** A result of it is there. */
  claimed: boolean;
}

export interface HedgeNews {
  /** How long the last tasks took. */
  readonly tookMs: readonly number[];
}

/** A task that takes so many times the median is worth doing twice. */
const SLOW = 2;
/** Shorter than this nobody waits for. */
const MIN_SLOW_MS = 1_000;

/** A task that another box was only given ahead: it has no slot for it yet. */
export function stolenFrom(boxes: readonly Box[], by: Box, live: ReadonlyMap<number, Live>): Running | undefined {
  for (const box of boxes) {
    if (box === by) continue;
    const ahead = box.attempts.slice(box.slots).reverse();
    const found = ahead.find((attempt) => attempt.startedAt === undefined && isAlone(attempt, live.get(attempt.n), by));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The one that has taken longest, where that is far longer than others took. */
export function longRunning(
  {
    boxes,
    live,
    news,
  }: { readonly boxes: readonly Box[]; readonly live: ReadonlyMap<number, Live>; readonly news: HedgeNews },
  by: Box,
  now: number,
): Running | undefined {
  const median = medianOf(news.tookMs);
  if (median === undefined) return undefined;
  const limit = Math.max(MIN_SLOW_MS, SLOW * median);
  const slow = boxes
    .filter((box) => box !== by)
    .flatMap((box) => box.attempts)
    .filter((attempt) => now - since(attempt) > limit && isAlone(attempt, live.get(attempt.n), by));
  return slow.sort((a, b) => since(a) - since(b))[0];
}

function since({ startedAt, takenAt }: Running): number {
  return startedAt ?? takenAt;
}

/** Nobody else tries it, and it did not fail here before. */
function isAlone({ signal }: Attempt, live: Live | undefined, by: Box): boolean {
  return (
    live !== undefined && !signal.aborted && !live.claimed && live.attempts.size === 1 && !live.failedOn.has(by.name)
  );
}

function medianOf(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
}
