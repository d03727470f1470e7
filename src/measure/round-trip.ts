/**
 * How far away the other end of a link is: the median of several round trips.
 *
 * Each sample is `link.ping`: a fresh nonce, echoed below the other end's handlers, so neither a busy
 * handler nor a guess made in advance changes it. The median shrugs off one late packet; jitter is
 * the mean absolute difference of neighbouring samples (RFC 3550's D, without its smoothing).
 */

import { type Clock, within } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import type { Link, PathKind } from "../network/index.ts";

export interface RoundTrip {
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly jitterMs: number;
  /** How many samples it stands on. */
  readonly count: number;
  readonly path: PathKind;
}

export interface RoundTripOptions {
  readonly clock: Clock;
  /** @default 3 */
  readonly count?: number;
}

/** A dead link is noticed by the link itself within 15 s; a person at `p2prc ping` wants to know sooner. */
const PING_TIMEOUT_MS = 5_000;

/** @throws {Failure} link-lost, timed-out */
export async function measureRoundTrip(
  link: Link,
  { clock, count = 3 }: RoundTripOptions,
  signal: AbortSignal,
): Promise<RoundTrip> {
  const samples: number[] = [];
  while (samples.length < count) samples.push(await pingOnce(link, clock, signal));
  return { ...summarise(settled(samples)), path: link.path.kind };
}

/** @throws {Failure} link-lost, timed-out */
export function pingOnce(link: Link, clock: Clock, signal: AbortSignal): Promise<number> {
  const late = () => new Failure("timed-out", `no answer within ${PING_TIMEOUT_MS / 1000} s`);
  return within({ clock, timeoutMs: PING_TIMEOUT_MS, late }, (attempt) => link.ping(attempt), signal);
}

/**
 * The samples without the first where that one woke something (a radio, a neighbour table, an idle
 * process): it took over twice the median of the rest.
 */
export function settled(samples: readonly number[]): readonly number[] {
  const [first, ...rest] = samples;
  if (first === undefined || rest.length < 2) return samples;
  return first > 2 * median(rest) ? rest : samples;
}

/** @param samples at least one, in the order they came */
export function summarise(samples: readonly number[]): Omit<RoundTrip, "path"> {
  return {
    medianMs: median(samples),
    minMs: Math.min(...samples),
    maxMs: Math.max(...samples),
    jitterMs: jitter(samples),
    count: samples.length,
  };
}

function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? 0;
  const lower = sorted[(sorted.length - 1) >> 1] ?? 0;
  return (lower + upper) / 2;
}

function jitter(samples: readonly number[]): number {
  if (samples.length < 2) return 0;
  const sum = samples.slice(1).reduce((total, sample, i) => total + Math.abs(sample - (samples[i] ?? sample)), 0);
  return sum / (samples.length - 1);
}
