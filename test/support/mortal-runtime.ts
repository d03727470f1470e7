/**
 * A runtime whose daemon is killed at a chosen step: just before a call has its effect, or just after, before anybody
 * hears of it. From then on nothing answers, as to a process that is gone.
 */

import type { Duplex, Readable } from "node:stream";
import type { Runtime } from "../../src/sandbox/runtime/runtime.ts";

export class MortalRuntime {
  readonly #runtime: Runtime;
  readonly #dieAt: number;
  readonly #died: () => void;
  #steps = 0;

  /** @param dieAt the step, counted from 1; two to a call */
  constructor(runtime: Runtime, dieAt: number, died: () => void) {
    this.#runtime = runtime;
    this.#dieAt = dieAt;
    this.#died = died;
  }

  get steps(): number {
    return this.#steps;
  }

  /** As the daemon sees it. */
  get runtime(): Runtime {
    const inner = this.#runtime;
    const step = this.#step.bind(this);
    return {
      facts: inner.facts,
      create: (spec, note, signal) => step(() => inner.create(spec, note, signal)),
      remove: (id, signal) => step(() => inner.remove(id, signal)),
      pause: (id, paused, signal) => step(() => inner.pause(id, paused, signal)),
      list: (signal) => step(() => inner.list(signal)),
      stats: (id, signal) => step(() => inner.stats(id, signal)),
      logs: (id, options, signal): Promise<Readable> => step(() => inner.logs(id, options, signal)),
      open: (id, signal): Promise<Duplex> => step(() => inner.open(id, signal)),
      verify: (id, signal) => step(() => inner.verify(id, signal)),
      [Symbol.asyncDispose]: async () => {
        await inner[Symbol.asyncDispose]();
      },
    };
  }

  async #step<T>(work: () => Promise<T>): Promise<T> {
    await this.#live();
    const result = await work();
    await this.#live();
    return result;
  }

  async #live(): Promise<void> {
    this.#steps++;
    if (this.#steps === this.#dieAt) this.#died();
    if (this.#steps >= this.#dieAt) await new Promise<never>(() => undefined);
  }
}
