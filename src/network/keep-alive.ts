/**
 * Notices that the other end of a link is gone: the network says nothing when a machine loses its
 * power.
 *
 * A link that carries something is asked every 5 s and given 10 (dead within 15 s), an idle one every
 * 45 s and given 15 (within 60 s), so that an idle node stays quiet. One that others are to be passed on over is idle most of the
 * time and must not be dead: it is asked every 10 s and given 5, which is half the traffic of a busy one. Any byte that arrives is a
 * sign of life: on a slow line a ping may queue behind megabytes.
 */

import type { Clock } from "../base/index.ts";
import { Failure } from "../core/index.ts";

const TICK_MS = 5_000;
const BUSY_DEADLINE_MS = 10_000;
const IDLE_INTERVAL_MS = 45_000;
const IDLE_DEADLINE_MS = 15_000;
/** Less than two ticks, so that an answer that took its time does not put the next question off by one. */
const WATCHED_INTERVAL_MS = 7_500;
const WATCHED_DEADLINE_MS = 5_000;
/** Ticks come a little early or late: one that falls just short of a deadline must not cost a whole tick more. */
const SLACK_MS = 500;

export interface Watched {
  /** Sends a ping, calls back when it is answered. */
  ping(answered: () => void): void;
  bytesRead(): number;
  isBusy(): boolean;
  /** Whether its death matters though it carries nothing. @default it does not */
  isWatched?(): boolean;
  /** Called once. */
  dead(why: Failure): void;
}

/** Watches until `signal` aborts or the link is dead. */
export async function keepAlive(link: Watched, clock: Clock, signal: AbortSignal): Promise<void> {
  let lastAlive = clock.now();
  let lastRead = link.bytesRead();
  let askedAt: number | undefined;
  while (!signal.aborted) {
    await clock.sleep(TICK_MS, signal);
    const now = clock.now();
    const read = link.bytesRead();
    if (read !== lastRead) {
      lastRead = read;
      lastAlive = now;
      askedAt = undefined;
    }
    const { intervalMs, deadlineMs } = paceOf(link);
    if (askedAt !== undefined && now - askedAt >= deadlineMs - SLACK_MS) {
      link.dead(
        new Failure("link-lost", `the other node has not answered for ${Math.round((now - lastAlive) / 1000)} s`),
      );
      return;
    }
    if (askedAt === undefined && now - lastAlive >= intervalMs) {
      askedAt = now;
      link.ping(() => {
        askedAt = undefined;
        lastAlive = clock.now();
        lastRead = link.bytesRead();
      });
    }
  }
}

function paceOf(link: Watched): { readonly intervalMs: number; readonly deadlineMs: number } {
  if (link.isBusy()) return { intervalMs: 0, deadlineMs: BUSY_DEADLINE_MS };
  if (link.isWatched?.() === true) return { intervalMs: WATCHED_INTERVAL_MS, deadlineMs: WATCHED_DEADLINE_MS };
  return { intervalMs: IDLE_INTERVAL_MS, deadlineMs: IDLE_DEADLINE_MS };
}
