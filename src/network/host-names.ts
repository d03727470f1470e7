/**
 * The addresses behind host names.
 *
 * A lookup cannot be stopped, takes 10 s where the name server is silent, and holds one of the four threads
 * that files are read with as well. So few run at once, those who want the same name share one, and whoever
 * waits may leave.
 */

import { lookup as systemLookup } from "node:dns/promises";

/** @throws an error with a `syscall` when the name has no address or nobody knows */
export type Lookup = (host: string) => Promise<readonly string[]>;

const MAX_LOOKUPS = 2;

export class HostNames {
  readonly #lookup: Lookup;
  readonly #wanted = new Map<string, Promise<readonly string[]>>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(lookup: Lookup = lookupAll) {
    this.#lookup = lookup;
  }

  /** @returns the addresses in the resolver's order; none where the name does not resolve now */
  async resolve(host: string, signal: AbortSignal): Promise<readonly string[]> {
    signal.throwIfAborted();
    let wanted = this.#wanted.get(host);
    if (wanted === undefined) {
      wanted = this.#inTurn(host).finally(() => this.#wanted.delete(host));
      this.#wanted.set(host, wanted);
    }
    return await orAborted(wanted, signal);
  }

  async #inTurn(host: string): Promise<readonly string[]> {
    if (this.#running >= MAX_LOOKUPS) await new Promise<void>((go) => this.#waiting.push(go));
    else this.#running++;
    try {
      return await this.#lookup(host);
    } catch (error) {
      if (error instanceof Error && "syscall" in error) return []; // not known now; other ways may lead there
      throw error;
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next(); // takes over the place
    }
  }
}

/** What `work` comes to, unless the signal aborts first. `work` itself goes on. */
export async function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => undefined); // nobody may be listening any more
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason as Error);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

async function lookupAll(host: string): Promise<readonly string[]> {
  return (await systemLookup(host, { all: true })).map(({ address }) => address);
}
