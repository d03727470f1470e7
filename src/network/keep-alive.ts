/**
 * Notices that the other end of a link is gone: the network says nothing when a machine loses its
 * power.
 *
 * A link that carries something is asked every 5 s and given 10 (dead within 15 s), an idle one every
 * 45 s and given 15 (within 60 s), so that an idle node stays quiet. Any byte that arrives is a
 * sign of life: on a slow line a ping may queue behind megabytes.
 */

import type { Clock } from "../base/index.ts";
import { Failure } from "../core/index.ts";

const TICK_MS = 5_000;
const BUSY_DEADLINE_MS = 10_000;
const IDLE_INTERVAL_MS = 45_000;
const IDLE_DEADLINE_MS = 15_000;
/** Ticks come a little early or late: one that falls just short of a deadline must not cost a whole tick more. */
const SLACK_MS = 500;

export interface Watched {
  /** Sends a ping, calls back when it is answered. */
  ping(answered: () => void): void;
  bytesRead(): number;
  isBusy(): boolean;
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
    const busy = link.isBusy();
    if (askedAt !== undefined && now - askedAt >= (busy ? BUSY_DEADLINE_MS : IDLE_DEADLINE_MS) - SLACK_MS) {
      link.dead(
        new Failure("link-lost", `the other node has not answered for ${Math.round((now - lastAlive) / 1000)} s`),
      );
      return;
    }
    if (askedAt === undefined && (busy || now - lastAlive >= IDLE_INTERVAL_MS)) {
      askedAt = now;
      link.ping(() => {
        askedAt = undefined;
        lastAlive = clock.now();
        lastRead = link.bytesRead();
      });
    }
  }
}
