/** One thing after the other for each key; different keys do not wait for each other. */

export class Turns<K> {
  readonly #last = new Map<K, Promise<unknown>>();

  take<T>(key: K, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(key) ?? Promise.resolve();
    const mine = before.then(work);
    const settled = mine
      .catch(() => undefined) // whoever took the turn hears of it
      .then(() => {
        if (this.#last.get(key) === settled) this.#last.delete(key);
      });
    this.#last.set(key, settled);
    return mine;
  }

  /** Whether something is under way or waits. */
  isBusy(key: K): boolean {
    return this.#last.has(key);
  }
}

/** Waits for `work`, which goes on when `signal` aborts: only the waiting ends. */
export async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
    work.catch(() => undefined); // nobody may be listening any more
  }
}

/** Runs `work` on each item, at most `limit` at once. Rejects with the first failure, when all have ended. */
export async function eachOf<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items[Symbol.iterator]();
  const worker = async () => {
    for (const item of queue) await work(item);
  };
  const outcomes = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, worker));
  const failed = outcomes.find((outcome) => outcome.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
