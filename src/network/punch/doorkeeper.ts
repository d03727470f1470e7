/**
 * Who may come in by punching, and how many at once.
 *
 * A first handshake message costs its sender one packet and this node a key exchange, a stream, a UDP socket and some
 * pings for ten seconds (hyperdht #294). So tries per second, handshakes under way (in all, of one address, of one key)
 * and connections are capped, and some of each are kept for known keys. A key here is claimed, not proven: old messages
 * can be replayed, so the keys that are known have caps as well.
 */

import { type Clock, TokenBuckets } from "../../base/index.ts";
import type { NodeId } from "../../core/index.ts";

export interface DoorkeeperOptions {
  /** Key exchanges, 0.3 ms each, at once. @default 100 */
  readonly maxTries?: number;
  /** And after that every so many ms. @default 10 */
  readonly tryEveryMs?: number;
  /** Handshakes under way. @default 32 */
  readonly maxPending?: number;
  /** Of these, of nodes that are not known. @default 24 */
  readonly maxPendingOfStrangers?: number;
  /** Of one unknown machine. @default 8 */
  readonly maxPendingPerGroup?: number;
  /** Of one key. @default 4 */
  readonly maxPendingPerNode?: number;
  /** Open at once; each has a UDP socket. @default 256 */
  readonly maxConnections?: number;
  /** Of these, of nodes that are not known. @default 64 */
  readonly maxConnectionsOfStrangers?: number;
}

export interface Visitor {
  readonly id: NodeId;
  /** What shares an address with it. */
  readonly group: string;
}

/** One handshake, and the connection that it may become. */
export interface Visit {
  connected(): void;
  /** May be called more than once. */
  ended(): void;
}

export interface DoorkeeperDeps {
  readonly clock: Clock;
  readonly isKnown: (id: NodeId) => boolean;
}

interface Inside extends Visitor {
  readonly isKnown: boolean;
}

export class Doorkeeper {
  readonly #isKnown: (id: NodeId) => boolean;
  readonly #options: Required<DoorkeeperOptions>;
  readonly #tries: TokenBuckets;
  readonly #pending = new Set<Inside>();
  readonly #connections = new Set<Inside>();

  constructor({ clock, isKnown }: DoorkeeperDeps, options: DoorkeeperOptions = {}) {
    this.#isKnown = isKnown;
    this.#options = {
      maxTries: options.maxTries ?? 100,
      tryEveryMs: options.tryEveryMs ?? 10,
      maxPending: options.maxPending ?? 32,
      maxPendingOfStrangers: options.maxPendingOfStrangers ?? 24,
      maxPendingPerGroup: options.maxPendingPerGroup ?? 8,
      maxPendingPerNode: options.maxPendingPerNode ?? 4,
      maxConnections: options.maxConnections ?? 256,
      maxConnectionsOfStrangers: options.maxConnectionsOfStrangers ?? 64,
    };
    this.#tries = new TokenBuckets(clock, {
      burst: this.#options.maxTries,
      everyMs: this.#options.tryEveryMs,
      maxKeys: 1,
    });
  }

  /** Whether there is time for one more key exchange. Asked before anything is known of the sender. */
  mayTry(): boolean {
    return this.#tries.take("all");
  }

  /** Undefined: not now. */
  admit(visitor: Visitor): Visit | undefined {
    const inside: Inside = { ...visitor, isKnown: this.#isKnown(visitor.id) };
    if (this.#isFull(inside)) return undefined;
    this.#pending.add(inside);
    return {
      connected: () => {
        if (this.#pending.delete(inside)) this.#connections.add(inside);
      },
      ended: () => {
        this.#pending.delete(inside);
        this.#connections.delete(inside);
      },
    };
  }

  get pending(): number {
    return this.#pending.size;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** Of both, those of nodes that are known. */
  get known(): number {
    const isKnown = (each: Inside) => each.isKnown;
    return count(this.#pending, isKnown) + count(this.#connections, isKnown);
  }

  #isFull({ id, group, isKnown }: Inside): boolean {
    const most = this.#options;
    if (this.#pending.size >= most.maxPending || this.#connections.size >= most.maxConnections) return true;
    if (count(this.#pending, (each) => each.id === id) >= most.maxPendingPerNode) return true;
    if (isKnown) return false;
    const isStranger = (each: Inside) => !each.isKnown;
    return (
      count(this.#pending, isStranger) >= most.maxPendingOfStrangers ||
      count(this.#connections, isStranger) >= most.maxConnectionsOfStrangers ||
      count(this.#pending, (each) => isStranger(each) && each.group === group) >= most.maxPendingPerGroup
    );
  }
}

/** At most a few hundred to look at. */
function count(all: Iterable<Inside>, matches: (each: Inside) => boolean): number {
  let found = 0;
  for (const each of all) if (matches(each)) found++;
  return found;
}
