/**
 * Dials that go on for a moment when nobody waits for them any more, for whoever comes next.
 *
 * Punching a symmetric NAT takes seconds, in which a race is won by a relay, and the search for a better path begins
 * anew. The other end, which cannot be told, would guess on for half a minute and refuse the next try meanwhile. So a
 * dial that was left is still there for 3 s, and joined by the next one for the same node.
 */

import { type Clock, Scope } from "../../base/index.ts";
import type { Pipe } from "../carrier.ts";
import { orAborted } from "../host-names.ts";

/** The search for a better path begins at once. */
const LINGER_MS = 3_000;

interface Dial {
  readonly scope: Scope;
  readonly pipe: Promise<Pipe>;
  waiting: number;
  taken: boolean;
  /** While nobody waits. */
  leaving: Scope | undefined;
}

export class SharedDials implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #dials = new Map<string, Dial>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * What the dial under way comes to, or a new one: each pipe goes to one.
   * @throws what `work` throws, or the reason of `signal`
   */
  async take(key: string, work: (signal: AbortSignal) => Promise<Pipe>, signal: AbortSignal): Promise<Pipe> {
    for (;;) {
      signal.throwIfAborted();
      const dial = this.#dials.get(key) ?? this.#begin(key, work);
      const pipe = await this.#wait(key, dial, signal);
      if (pipe !== undefined) return pipe;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#dials, ([key, dial]) => this.#end(key, dial)));
  }

  #begin(key: string, work: (signal: AbortSignal) => Promise<Pipe>): Dial {
    const scope = new Scope();
    const dial: Dial = { scope, pipe: work(scope.signal), waiting: 0, taken: false, leaving: undefined };
    dial.pipe.catch(() => this.#forget(key, dial)); // whoever waits hears of it
    this.#dials.set(key, dial);
    return dial;
  }

  /** @returns undefined: somebody else has it, or it died while it lay here */
  async #wait(key: string, dial: Dial, signal: AbortSignal): Promise<Pipe | undefined> {
    dial.waiting++;
    void dial.leaving?.close();
    dial.leaving = undefined;
    try {
      const pipe = await orAborted(dial.pipe, signal);
      this.#forget(key, dial);
      if (dial.taken || pipe.duplex.destroyed) return undefined;
      dial.taken = true;
      return pipe;
    } finally {
      dial.waiting--;
      if (dial.waiting === 0 && !dial.taken) this.#leave(key, dial);
    }
  }

  #leave(key: string, dial: Dial): void {
    if (this.#dials.get(key) !== dial) return;
    const leaving = new Scope();
    dial.leaving = leaving;
    leaving.spawn(async (signal) => {
      await this.#clock.sleep(LINGER_MS, signal);
      void this.#end(key, dial);
    });
  }

  async #end(key: string, dial: Dial): Promise<void> {
    this.#forget(key, dial);
    void dial.leaving?.close();
    await dial.scope.close();
    const pipe = await dial.pipe.catch(() => undefined); // it was told to end
    if (!dial.taken) pipe?.duplex.destroy();
  }

  #forget(key: string, dial: Dial): void {
    if (this.#dials.get(key) === dial) this.#dials.delete(key);
  }
}
