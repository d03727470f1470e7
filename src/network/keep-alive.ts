/**
 * Notices that the other end of a link is gone: the network says nothing when a machine loses its
 * power.
 *
 * A link that carries something is dead within 15 s, an idle one within 60, so that an idle node stays quiet. Any byte that
 * arrives is a sign of life: on a slow line a ping may queue behind megabytes, and the question of one end spares the other its
 * own. So the end that answers waits for longer than the one that asks, and asks only where it does not. A link that others are to be
 * passed on over is idle most of the time and must not be dead: there the answering end asks every 5 s, and tells of a silence at once, long
 * before it takes that for death: what runs on a slow line must not end for it.
 */

import type { Clock } from "../base/index.ts";
import { Failure } from "../core/index.ts";

const TICK_MS = 2_500;

interface Pace {
  /** Silence before it is asked. */
  readonly intervalMs: number;
  readonly deadlineMs: number;
  /** How often it is looked at. @default TICK_MS */
  readonly tickMs?: number;
}

const BUSY: Pace = { intervalMs: 5_000, deadlineMs: 10_000 };
/** Long enough that the other end has asked before. */
const BUSY_ANSWERING: Pace = { intervalMs: 10_000, deadlineMs: 5_000 };
/** As seldom as a replacement within 10 s allows: 2.9 MB a day. A silence is to be told of at once. */
const WATCHED: Pace = { intervalMs: 7_000, deadlineMs: 8_000, tickMs: 1_000 };
const IDLE: Pace = { intervalMs: 45_000, deadlineMs: 15_000 };
const IDLE_ANSWERING: Pace = { intervalMs: 52_500, deadlineMs: 7_500 };
/** A question that has no answer for so long is told of. */
const SILENT_MS = 2_000;
/** Ticks and answers come a little early or late: what falls just short of a moment must not wait for a whole tick more. */
const SLACK_MS = 500;

export interface Watched {
  /** Sends a ping, calls back when it is answered. */
  ping(answered: () => void): void;
  bytesRead(): number;
  isBusy(): boolean;
  /** The other end is the one to ask. @default this one is */
  readonly answers?: {
    /** Whether its death matters though it carries nothing. */
    isWatched(): boolean;
    /** Of one that is watched: it does not answer, or does again. */
    silence(isSilent: boolean): void;
  };
  /** Called once. */
  dead(why: Failure): void;
}

/** Watches until `signal` aborts or the link is dead. */
export async function keepAlive(link: Watched, clock: Clock, signal: AbortSignal): Promise<void> {
  let lastAlive = clock.now();
  let lastLook = lastAlive;
  let lastRead = link.bytesRead();
  let askedAt: number | undefined;
  let wasSilent = false;
  while (!signal.aborted) {
    await clock.sleep(paceOf(link).tickMs ?? TICK_MS, signal);
    const now = clock.now();
    const read = link.bytesRead();
    if (read !== lastRead) {
      lastRead = read;
      lastAlive = Math.max(lastAlive, lastLook); // at some time since then
      askedAt = undefined;
    }
    lastLook = now;
    const { intervalMs, deadlineMs } = paceOf(link);
    const isSilent = askedAt !== undefined && now - askedAt >= SILENT_MS - SLACK_MS;
    if (isSilent !== wasSilent && link.answers?.isWatched() === true) link.answers.silence(isSilent);
    wasSilent = isSilent;
    if (askedAt !== undefined && now - askedAt >= deadlineMs - SLACK_MS) {
      link.dead(
        new Failure("link-lost", `the other node has not answered for ${Math.round((now - lastAlive) / 1000)} s`),
      );
      return;
    }
    if (askedAt === undefined && now - lastAlive >= intervalMs - SLACK_MS) {
      askedAt = now;
      link.ping(() => {
        askedAt = undefined;
        lastAlive = Math.max(lastAlive, now); // however slow the answer was, the next question is as long after this one
        lastRead = link.bytesRead();
      });
    }
  }
}

function paceOf(link: Watched): Pace {
  if (link.answers === undefined) return link.isBusy() ? BUSY : IDLE;
  if (link.answers.isWatched()) return WATCHED;
  return link.isBusy() ? BUSY_ANSWERING : IDLE_ANSWERING;
}
