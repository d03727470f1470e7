/**
 * Happy eyeballs over every way to a node: each way starts at its time, or as soon as all earlier ones
 * have failed; the first that is up wins, and the others are cancelled (RFC 8305, over carriers).
 */

import { type Clock, isAbort, Scope } from "../base/index.ts";
import { Failure, type FailureCode } from "../core/index.ts";
import type { H2Link } from "./h2-link.ts";
import type { PathKind } from "./link.ts";

export interface Way {
  readonly kind: PathKind;
  /** Where it leads, for people: `192.0.2.7:8088`. */
  readonly address: string;
  /** When it starts, counted from the first. */
  readonly delayMs: number;
  open(signal: AbortSignal): Promise<H2Link>;
}

export interface Attempt {
  readonly path: PathKind;
  readonly address: string;
  readonly outcome: "open" | "cancelled" | FailureCode;
  readonly ms: number;
  /** Why not; empty where there is nothing to say. */
  readonly reason: string;
  /** Wall time, in ms. */
  readonly at: number;
}

/**
 * @param onAttempt hears of each way that was started, once, when it has ended
 * @throws {Failure} wrong-key where a wrong key is all that answered, else unreachable
 */
// oxlint-disable-next-line max-lines-per-function -- one race: its parts share who won
export async function race(
  ways: readonly Way[],
  { clock, onAttempt }: { readonly clock: Clock; readonly onAttempt: (attempt: Attempt) => void },
  signal: AbortSignal,
): Promise<H2Link> {
  signal.throwIfAborted();
  const scope = new Scope(signal);
  const { promise, resolve, reject } = Promise.withResolvers<H2Link>();
  const failures: Failure[] = [];
  const waiting = [...ways].sort((a, b) => a.delayMs - b.delayMs);
  let running = 0;
  let won = false;

  const attempt = async (way: Way, ending: AbortSignal) => {
    const startedAt = clock.now();
    const note = (outcome: Attempt["outcome"], reason = "") =>
      onAttempt({
        path: way.kind,
        address: way.address,
        outcome,
        ms: clock.now() - startedAt,
        reason,
        at: clock.wallTime(),
      });
    try {
      const link = await way.open(ending);
      if (won || ending.aborted) {
        note("cancelled", "another way was quicker");
        link.close("another way was quicker");
        return;
      }
      won = true;
      note("open");
      resolve(link);
    } catch (error) {
      if (isAbort(error, ending)) note("cancelled", won ? "another way was quicker" : "");
      else if (error instanceof Failure) {
        note(error.code, error.message);
        failures.push(error);
      } else throw error;
    }
  };

  const startNext = () => {
    const [way] = waiting.splice(0, 1);
    if (way === undefined) {
      if (running === 0 && !won) reject(verdict(failures));
      return;
    }
    running++;
    scope.spawn(async (ending) => {
      await attempt(way, ending);
      running--;
      if (!won && running === 0 && !ending.aborted) startNext();
    });
  };

  const startedAt = clock.now();
  scope.spawn(async (ending) => {
    while (waiting[0] !== undefined && !won) {
      const dueMs = waiting[0].delayMs - (clock.now() - startedAt);
      if (dueMs > 0) await clock.sleep(dueMs, ending);
      else startNext();
    }
    if (ways.length === 0) startNext();
  });
  const onAbort = () => reject((signal.reason ?? new Error("aborted")) as Error);
  scope.signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await promise;
  } finally {
    scope.signal.removeEventListener("abort", onAbort);
    await scope.close();
  }
}

function verdict(failures: readonly Failure[]): Failure {
  const wrongKey = failures.find(({ code }) => code === "wrong-key");
  if (wrongKey !== undefined) return wrongKey;
  const reasons = [...new Set(failures.map(({ message }) => message))];
  return new Failure("unreachable", reasons.length === 0 ? "no address of that node is known" : reasons.join("; "), {
    hint: "`p2prc why NODE` shows each attempt",
    cause: failures[0],
  });
}
