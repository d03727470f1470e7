/** One stream that is passed on, until one of its two ends ends it, this relay, or a limit: of which both ends are told. */

import type { Duplex } from "node:stream";
import { type Clock, Scope, splice } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { LastWord } from "../../network/index.ts";
import { Meter } from "./meter.ts";
import type { Allowance } from "./quotas.ts";

export interface Passing {
  readonly near: Duplex;
  readonly far: Duplex;
  readonly allowance: Allowance;
  /** Hears of the bytes that pass, both ways. */
  readonly onBytes: (bytes: number) => void;
  readonly clock: Clock;
}

/** So long both ends may take until they have read why it ends. */
const LAST_WORD_MS = 1_000;

/** @returns the limit by which it ended, where it was one */
export async function passOn(passing: Passing, signal: AbortSignal): Promise<LastWord | undefined> {
  const { near, far, allowance, onBytes, clock } = passing;
  await using life = new Scope(signal);
  const meters: Meter[] = [];
  // With an error: both ends then know that it was not the other one who ended it.
  const cut = (why: Failure) => {
    for (const stream of [near, far, ...meters]) stream.destroy(why);
  };
  const onAbort = () => cut(new Failure("link-lost", "the relay passes it on no more"));
  life.signal.addEventListener("abort", onAbort, { once: true });
  let over: LastWord | undefined;
  const onOver = (limit: LastWord) => {
    if (over !== undefined || life.signal.aborted) return;
    over = limit;
    for (const meter of meters) meter.say(limit);
    life.spawn(async (ending) => {
      await Promise.race([Promise.all([near, far].map(closed)), clock.sleep(LAST_WORD_MS, ending)]);
      cut(new Failure("too-large", "a limit of this relay was reached"));
    });
  };
  if (allowance.msLeft !== Number.POSITIVE_INFINITY)
    life.spawn(async (ending) => {
      await clock.sleep(allowance.msLeft, ending);
      onOver(allowance.timeLimit);
    });
  const spend = (bytes: number) => {
    onBytes(bytes);
    return allowance.spend(bytes);
  };
  await splice(near, far, () => {
    const meter = new Meter({ spend, onOver, clock }, life.signal);
    meters.push(meter);
    return meter;
  });
  life.signal.removeEventListener("abort", onAbort); // what was written last may still be under way
  return over;
}

async function closed(stream: Duplex): Promise<void> {
  if (!stream.closed) await new Promise<void>((resolve) => void stream.once("close", resolve));
}
