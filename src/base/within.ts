/**
 * A time limit that belongs to the Clock, so that tests own it, and that ends what it started.
 */

import type { Clock } from "./clock.ts";
import { Scope } from "./scope.ts";

/**
 * Runs `work` for at most `timeoutMs`; after that its signal aborts and the call rejects with what `late()` makes.
 * @throws what `late()` returns, what `work` throws, or the reason of `signal`
 */
export async function within<T>(
  { clock, timeoutMs, late }: { readonly clock: Clock; readonly timeoutMs: number; readonly late: () => Error },
  work: (signal: AbortSignal) => Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  signal.throwIfAborted();
  await using attempt = new Scope(signal);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  const timer = clock.sleep(timeoutMs, attempt.signal).then(
    () => reject(late()),
    () => undefined, // the scope closed first: the work is done
  );
  try {
    return await Promise.race([work(attempt.signal), ended]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    ended.catch(() => undefined); // nobody may be listening any more
    void timer;
  }
}
