/** Time inside, where there is no base/: the same two words that its Clock has. */

export interface Sleeper {
  /** Milliseconds since some fixed moment. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it aborts first. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemSleeper: Sleeper = {
  // oxlint-disable-next-line no-restricted-properties -- this is the clock
  now: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const onAbort = () => {
        clearTimeout(timer);
        reject(signal.reason as Error);
      };
      // oxlint-disable-next-line no-restricted-globals -- this is the clock
      const timer = setTimeout(() => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      }, ms);
      signal.addEventListener("abort", onAbort, { once: true });
    }),
};
