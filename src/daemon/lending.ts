/**
 * Lending on and off: while it is on, this node listens, tells others where, and is in their tables.
 *
 * A node that does not lend listens nowhere, but for guests whose sandboxes still run: it goes on listening until the last of
 * these has ended, and refuses new ones. The default port may be taken, as by another user of this
 * machine; then the next free one is used. A port that was named is used, or it is an error. Whoever was told of one
 * finds this node there again: lending that was off for a while takes the port it had.
 */

import type { Clock, Log } from "../base/index.ts";
import { DEFAULT_PORT, type Endpoint, Failure, formatEndpoint } from "../core/index.ts";
import type { Listener, ListenOptions } from "../network/index.ts";

export interface LendingDeps {
  readonly listen: (options: ListenOptions, signal: AbortSignal) => Promise<Listener>;
  /** Told of each change, when it has happened. moved: it begins or ends to listen. */
  readonly changed: (change: { readonly moved: boolean }) => void;
  /** Whether guests have something here that they must reach, though nothing new is lent. */
  readonly needed: () => boolean;
  readonly clock: Clock;
  readonly log: Log;
}

export interface LendingOptions {
  /** undefined: the default one, or the next that is free. 0: any free one. */
  readonly port: number | undefined;
  readonly hosts: readonly string[] | undefined;
}

/** A sandbox that ends, and one that a daemon finds when it starts, is noticed within that. */
const LOOK_EVERY_MS = 1_000;
/** Ports after the default one that are tried before any free one is taken. */
const NEXT_PORTS = 8;

export class Lending implements AsyncDisposable {
  readonly #deps: LendingDeps;
  readonly #options: LendingOptions;
  #on = false;
  #listener: Listener | undefined;
  /** Why it does not listen for guests who are here, as far as that was said. */
  #problem: string | undefined;
  /** Where it listened last. */
  #lastPort: number | undefined;
  /** Changes are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: LendingDeps, options: LendingOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Whether something new is lent. */
  get on(): boolean {
    return this.#on;
  }

  /** Whether it can be reached. */
  get listening(): boolean {
    return this.#listener !== undefined;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#listener?.endpoints ?? [];
  }

  /** @throws {Failure} port-in-use, bad-address */
  turn(on: boolean, signal: AbortSignal): Promise<void> {
    return this.#next(() => this.#turn(on, signal));
  }

  /** Listens while guests need it, and no longer. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(LOOK_EVERY_MS, signal);
      await this.#next(() => this.#look(signal));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#next(async () => {
      this.#on = false;
      await this.#stop();
    });
  }

  #next(work: () => Promise<void>): Promise<void> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined); // whoever asked hears of it
    return done;
  }

  async #turn(on: boolean, signal: AbortSignal): Promise<void> {
    const { log, changed, needed } = this.#deps;
    if (on) await this.#start(signal);
    if (this.#on !== on) {
      this.#on = on;
      if (on) log.info("lending", { listening: this.endpoints.map(formatEndpoint) });
      else log.info("lending has ended", { listening: needed() });
      changed({ moved: false });
    }
    if (!on && !needed()) await this.#stop();
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { needed, log } = this.#deps;
    if (this.#on) return;
    if (!needed()) return await this.#stop();
    try {
      await this.#start(signal);
      this.#problem = undefined;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      if (this.#problem !== error.message) log.warn("guests cannot reach their sandboxes", { why: error.message });
      this.#problem = error.message; // what is in the way may leave
    }
  }

  async #start(signal: AbortSignal): Promise<void> {
    if (this.listening) return;
    this.#listener = await this.#listen(signal);
    this.#lastPort = this.endpoints[0]?.port;
    this.#deps.changed({ moved: true });
  }

  async #stop(): Promise<void> {
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#listener = undefined;
    await listener[Symbol.asyncDispose]();
    this.#deps.log.info("listening has ended");
    this.#deps.changed({ moved: true });
  }

  async #listen(signal: AbortSignal): Promise<Listener> {
    const { port, hosts } = this.#options;
    const wanted = portsInTurn(port, this.#lastPort);
    for (const each of wanted) {
      try {
        return await this.#deps.listen({ port: each, ...(hosts === undefined ? {} : { hosts }) }, signal);
      } catch (error) {
        if (!(error instanceof Failure) || error.code !== "port-in-use" || each === port) throw error;
        this.#deps.log.info("the port is taken, trying another", { port: each, why: error.message });
      }
    }
    return await this.#deps.listen({ port: 0, ...(hosts === undefined ? {} : { hosts }) }, signal);
  }
}

/** Those to try before any free one: the one that was named alone. */
function portsInTurn(named: number | undefined, last: number | undefined): readonly number[] {
  if (named !== undefined && named !== 0) return [named];
  const next = named === 0 ? [] : [...Array(NEXT_PORTS + 1).keys()].map((offset) => DEFAULT_PORT + offset);
  return last === undefined ? next : [last, ...next.filter((each) => each !== last)];
}
