/** `p2prc ping`: sample after sample, each told as it comes. A link that is lost is said so and made anew. */

import { type Clock, isAbort, Scope } from "../base/index.ts";
import { Failure, type NodeId } from "../core/index.ts";
import type { Dialable, Link, Path, Reach } from "../network/index.ts";
import type { PingProgress, PingResult } from "./contract.ts";
import { pingOnce, settled, summarise } from "./round-trip.ts";

export interface PingDeps {
  readonly reach: Reach;
  /** What a node is called here: for relays. */
  readonly nameOf: (id: NodeId) => string;
  readonly clock: Clock;
}

export interface PingOptions {
  readonly target: Dialable & { readonly name: string };
  readonly count: number;
  readonly note: (progress: PingProgress) => void;
}

/** After so long without an answer another path is looked for: nobody need wait for one that has died. */
const SILENT_MS = 2_000;
/** Far enough apart to see jitter, near enough that five take a second. */
const GAP_MS = 200;

/** @throws {Failure} unreachable, and what else the last sample failed with when none came back */
export async function ping(
  { reach, nameOf, clock }: PingDeps,
  { target, count, note }: PingOptions,
  signal: AbortSignal,
): Promise<PingResult> {
  const samples: number[] = [];
  let path: Path | undefined;
  let failure: Failure | undefined;
  for (let sample = 1; sample <= count; sample++) {
    if (sample > 1) await clock.sleep(GAP_MS, signal);
    let link: Link | undefined;
    try {
      link = await reach.link(target, signal);
      using _held = link.hold();
      const rttMs = await pingOrLeave(link, { reach, clock, target }, signal);
      samples.push(rttMs);
      path = link.path;
      note({ sample, path: path.kind, remote: path.remote, rttMs });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failure = error;
      if (sample === 1 && link === undefined) throw error; // never reached: more tries say no more
      note({ sample, lost: error.message });
    }
  }
  if (path === undefined) throw failure ?? new Failure("timed-out", `"${target.name}" did not answer`);
  const { medianMs, minMs, maxMs, jitterMs } = summarise(settled(samples));
  return {
    id: target.id,
    name: target.name,
    path: path.kind,
    ...viaIn(path, nameOf),
    sent: count,
    lost: count - samples.length,
    medianMs,
    minMs,
    maxMs,
    jitterMs,
  };
}

/** @throws {Failure} link-lost, timed-out: also as soon as another path answers and this one does not */
async function pingOrLeave(
  link: Link,
  { reach, clock, target }: Pick<PingDeps, "reach" | "clock"> & Pick<PingOptions, "target">,
  signal: AbortSignal,
): Promise<number> {
  await using scope = new Scope(signal);
  const { promise: left, reject: leave } = Promise.withResolvers<never>();
  left.catch(() => undefined); // it may be answered first
  scope.spawn(async (ending) => {
    await clock.sleep(SILENT_MS, ending);
    try {
      const other = await reach.link(target, ending);
      if (other !== link) leave(new Failure("timed-out", "no answer, and another path has one"));
    } catch (error) {
      if (!(error instanceof Failure) && !isAbort(error, ending)) leave(error); // no other path: this one has its time
    }
  });
  return await Promise.race([pingOnce(link, clock, scope.signal), left]);
}

/** Whose help it took, by name. */
export function viaIn({ via }: Path, nameOf: (id: NodeId) => string): { readonly via?: string } {
  return via === undefined ? {} : { via: nameOf(via) };
}
