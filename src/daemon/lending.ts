/**
 * Lending on and off: while it is on, this node listens, tells others where, and is in their tables.
 *
 * A node that does not lend listens nowhere. The default port may be taken, as by another user of this
 * machine; then the next free one is used. A port that was named is used, or it is an error. Whoever was told of one
 * finds this node there again: lending that was off for a while takes the port it had.
 */

import type { Log } from "../base/index.ts";
import { DEFAULT_PORT, type Endpoint, Failure, formatEndpoint } from "../core/index.ts";
import type { Listener, ListenOptions } from "../network/index.ts";

export interface LendingDeps {
  readonly listen: (options: ListenOptions, signal: AbortSignal) => Promise<Listener>;
  /** Told of each change, when it has happened. */
  readonly changed: (endpoints: readonly Endpoint[]) => void;
  readonly log: Log;
}

export interface LendingOptions {
  /** undefined: the default one, or the next that is free. 0: any free one. */
  readonly port: number | undefined;
  readonly hosts: readonly string[] | undefined;
}

/** Ports after the default one that are tried before any free one is taken. */
const NEXT_PORTS = 8;

export class Lending implements AsyncDisposable {
  readonly #deps: LendingDeps;
  readonly #options: LendingOptions;
  #listener: Listener | undefined;
  /** Where it listened last. */
  #lastPort: number | undefined;
  /** Changes are made one after the other. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(deps: LendingDeps, options: LendingOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  get on(): boolean {
    return this.#listener !== undefined;
  }

  get endpoints(): readonly Endpoint[] {
    return this.#listener?.endpoints ?? [];
  }

  /** @throws {Failure} port-in-use, bad-address */
  turn(on: boolean, signal: AbortSignal): Promise<void> {
    const turned = this.#last.then(() => (on ? this.#start(signal) : this.#stop()));
    this.#last = turned.catch(() => undefined); // whoever asked hears of it
    return turned;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.turn(false, new AbortController().signal);
  }

  async #start(signal: AbortSignal): Promise<void> {
    if (this.on) return;
    this.#listener = await this.#listen(signal);
    this.#lastPort = this.endpoints[0]?.port;
    this.#deps.log.info("lending", { listening: this.endpoints.map(formatEndpoint) });
    this.#deps.changed(this.endpoints);
  }

  async #stop(): Promise<void> {
    const listener = this.#listener;
    if (listener === undefined) return;
    this.#listener = undefined;
    await listener[Symbol.asyncDispose]();
    this.#deps.log.info("lending has ended");
    this.#deps.changed([]);
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
