/**
 * How often this node dials back, and to how many ports of one machine: so that nobody scans or floods through it.
 *
 * It dials only who asks, at the address that it sees him at. Keys cost nothing and many may share an address
 * (carrier-grade NAT), so what counts is the destination.
 */

import { type Clock, LruMap, TokenBuckets } from "../../base/index.ts";
import { Failure, type NodeId, remoteGroup } from "../../core/index.ts";

/** A node asks at its start, after a change, and then less and less often. */
const PER_CALLER = { burst: 8, everyMs: 15_000, maxKeys: 1_024 };
/** As many as a household or a small company has nodes. */
const PER_DESTINATION = { burst: 16, everyMs: 10_000, maxKeys: 1_024 };
const IN_ALL = { burst: 32, everyMs: 1_000, maxKeys: 1 };
/** Ports of one machine that nobody asked for before: enough for nodes behind one NAT, far too few for a scan. */
const NEW_PORTS = { burst: 8, everyMs: 900_000, maxKeys: 1_024 };
/** Ports that are remembered, over all machines. */
const MAX_PORTS = 4_096;
export const MAX_AT_ONCE = 8;

export class CheckRation {
  readonly #callers: TokenBuckets;
  readonly #destinations: TokenBuckets;
  readonly #all: TokenBuckets;
  readonly #newPorts: TokenBuckets;
  readonly #ports = new LruMap<string, true>(MAX_PORTS);
  #running = 0;

  constructor(clock: Clock) {
    this.#callers = new TokenBuckets(clock, PER_CALLER);
    this.#destinations = new TokenBuckets(clock, PER_DESTINATION);
    this.#all = new TokenBuckets(clock, IN_ALL);
    this.#newPorts = new TokenBuckets(clock, NEW_PORTS);
  }

  /** Lets one dial back begin. @returns to be disposed of when it has ended @throws {Failure} too-often, busy */
  begin(caller: NodeId, host: string, port: number): Disposable {
    const group = remoteGroup(`${host.includes(":") ? `[${host}]` : host}:${port}`);
    if (!this.#callers.take(caller) || !this.#destinations.take(group)) throw tooOften();
    if (this.#running >= MAX_AT_ONCE || !this.#all.take("all")) throw busy();
    const place = `${group} ${port}`;
    if (this.#ports.get(place) === undefined && !this.#newPorts.take(group)) throw tooOften();
    this.#ports.set(place, true);
    this.#running++;
    return { [Symbol.dispose]: () => void this.#running-- };
  }
}

function tooOften(): Failure {
  return new Failure("too-often", "this node has dialled back there often enough for now", {
    hint: "ask another node, or try again in a minute",
  });
}

function busy(): Failure {
  return new Failure("busy", "this node dials back to enough others at the moment", { hint: "try again in a moment" });
}
