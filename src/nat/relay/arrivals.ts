/**
 * Those who come through a relay: `CONNECT arrive:<who asked>` on a link to it becomes a pipe like one that came by TCP.
 *
 * Only relays that this node chose may bring somebody, and nodes that it knows. Who comes proves his key inside; what the relay
 * says of him decides only with whom he shares the places that there are: strangers have half of them, and none of those for known ones. `CONNECT arrive-known:<who asked>` is refused unless this node knows whoever asked: with it the relay learns
 * whether he may use what this node has there.
 */

import type { Duplex } from "node:stream";
import { isAbort, type Log, Scope } from "../../base/index.ts";
import { admits, type Caller, Failure, isNodeId, type NodeId, shortNodeId } from "../../core/index.ts";
import type { InnerTls, Pipe } from "../../network/index.ts";

export interface ArrivalsDeps {
  readonly inner: InnerTls;
  /** Whether this node asked `id` to pass others on to it, or knows it. */
  readonly mayBring: (id: NodeId) => boolean;
  /** Own nodes, friends and guests. */
  readonly isKnown: (id: NodeId) => boolean;
  /** Whether somebody is expected whom nobody knows: an invite is out. @default never */
  readonly expects?: () => boolean;
  readonly take: (pipe: Pipe) => void;
  readonly log: Log;
}

export interface ArrivalsOptions {
  /** Links that are here through relays. @default 128 */
  readonly max?: number;
}

interface Arrival {
  readonly via: NodeId;
  readonly asker: string;
  readonly isKnown: boolean;
}

/** Strangers who may be those with an invite, here at once: whoever joins goes on over the link on which he came. */
const MAX_EXPECTED = 4;

export class Arrivals implements AsyncDisposable {
  readonly #deps: ArrivalsDeps;
  readonly #max: number;
  readonly #scope = new Scope();
  readonly #open = new Map<Duplex, Arrival>();

  constructor(deps: ArrivalsDeps, { max = 128 }: ArrivalsOptions = {}) {
    this.#deps = deps;
    this.#max = max;
  }

  /** The rows of the table of tunnels. */
  get tunnels() {
    return [
      { kind: "arrive", admits: admits.nodes, open: async (rest: string, caller: Caller) => this.#admit(rest, caller) },
      {
        kind: "arrive-known",
        admits: admits.nodes,
        open: async (rest: string, caller: Caller) => this.#admitKnown(rest, caller),
      },
    ];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
    for (const stream of this.#open.keys()) stream.destroy();
  }

  /** @throws {Failure} not-allowed, busy */
  #admit(asker: string, caller: Caller): (stream: Duplex) => void {
    const { mayBring } = this.#deps;
    if (caller.kind !== "node" || !mayBring(caller.id)) {
      throw new Failure("not-allowed", "this node did not choose you as its relay");
    }
    const arrival = { via: caller.id, asker, isKnown: this.#knows(asker) };
    if (this.#isFull(arrival)) throw new Failure("busy", "too many are here through relays already");
    return (stream) => {
      this.#open.set(stream, arrival);
      stream.once("close", () => this.#open.delete(stream));
      if (this.#scope.signal.aborted) stream.destroy();
      else this.#scope.spawn((signal) => this.#accept(stream, arrival, signal));
    };
  }

  /** @throws {Failure} not-allowed, busy */
  #admitKnown(rest: string, caller: Caller): (stream: Duplex) => void {
    const carry = this.#admit(rest, caller);
    if (!this.#knows(rest) && !this.#isExpected())
      throw new Failure("not-allowed", "this node does not know whoever asks");
    return carry;
  }

  #isExpected(): boolean {
    const strangers = [...this.#open.values()].filter(({ asker }) => !this.#knows(asker));
    return strangers.length < MAX_EXPECTED && this.#deps.expects?.() === true;
  }

  #knows(asker: string): boolean {
    return isNodeId(asker) && this.#deps.isKnown(asker);
  }

  #isFull({ isKnown }: Arrival): boolean {
    const all = [...this.#open.values()];
    return all.length >= this.#max || (!isKnown && all.filter((each) => !each.isKnown).length >= this.#max / 2);
  }

  async #accept(stream: Duplex, arrival: Arrival, signal: AbortSignal): Promise<void> {
    const { via } = arrival;
    const { inner, take, log } = this.#deps;
    try {
      take(await inner.accept(stream, { ...arrival, remote: `via ${via}` }, signal));
    } catch (error) {
      stream.destroy();
      if (isAbort(error, signal)) return;
      if (error instanceof Failure) log.debug("nobody arrived", { via: shortNodeId(via), why: error.message });
      else log.error("taking in whoever came through a relay failed", { error });
    }
  }
}
