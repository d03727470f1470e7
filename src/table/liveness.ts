/**
 * What a failed try does to a row. The rules, without time or chance of their own.
 *
 * A failure counts only when somebody else answered about then, and when the try did not span a sleep of
 * this machine: silence from everybody says something about this end. Nobody else's word counts at all.
 */

import { type Random, randomBelow } from "../base/index.ts";
import type { Row } from "./row.ts";

/** Back-off: 1 s, doubled with each failure, up to 10 min. */
const FIRST_RETRY_MS = 1_000;
const LAST_RETRY_MS = 600_000;
/** While nothing answers, everything is tried again this often. */
const UNCLEAR_RETRY_MS = 30_000;
/** How long before a try somebody else's answer still proves that this end is connected. */
const EVIDENCE_MS = 30_000;
/** No try takes so long: the machine slept, or the process was stopped. */
const STALL_MS = 60_000;
/** A node that never answered has three tries (Bitcoin's ADDRMAN_RETRIES). */
const HEARD_TRIES = 3;
/** One that did leaves after ten, and not within the hour: reboots and short outages are common. */
const SUSPECT_TRIES = 10;
const SUSPECT_MS = 3_600_000;

export interface FailedTry {
  readonly now: number;
  readonly startedAt: number;
  /** When a node other than this one last answered. */
  readonly othersAnsweredAt: number;
  readonly random: Random;
}

/** @returns whether the failure counted */
export function failRow(row: Row, { now, startedAt, othersAnsweredAt, random }: FailedTry): boolean {
  if (now - startedAt > STALL_MS || othersAnsweredAt < startedAt - EVIDENCE_MS) {
    row.unclear = true;
    row.nextTryAt = now + UNCLEAR_RETRY_MS;
    return false;
  }
  row.unclear = false;
  if (row.failures === 0) row.firstFailureAt = now;
  row.failures++;
  if (row.state === "verified" || row.relation !== undefined) row.state = "suspect";
  const backOffMs = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (row.failures - 1));
  row.nextTryAt = now + backOffMs + randomBelow(random, backOffMs / 4);
  return true;
}

/** Joined nodes are tried for ever. */
export function isGone(row: Row, now: number): boolean {
  if (row.relation !== undefined || row.unclear || row.failures === 0) return false;
  if (row.state === "heard") return row.failures >= HEARD_TRIES;
  return row.failures >= SUSPECT_TRIES && now - row.firstFailureAt >= SUSPECT_MS;
}
