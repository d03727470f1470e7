/**
 * Time, as a thing one is given. Tests hand in a VirtualClock (`test/support/`).
 *
 * `now()` is monotonic and for durations; `wallTime()` is what the calendar says, is shown
 * to people and written to disk, and never decides anything between nodes.
 */

export interface Clock {
  /** Milliseconds, with fractions, since some fixed moment. Never goes back. */
  now(): number;
  /** Milliseconds since 1970. May jump. */
  wallTime(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  sleep: (ms, signal) => sleep(ms, signal),
};

/** setTimeout fires at once for anything longer than this. It warns of anything below 0, which a moment that has passed is. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason as Error);
      return;
    }
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(
      () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      },
      Math.min(Math.max(ms, 0), MAX_TIMEOUT_MS),
    );
    signal.addEventListener("abort", onAbort, { once: true });
  });
}
