/**
 * Ways to a friend who answers nowhere that is known of: where he is now, he says in the DHT under his key.
 *
 * Who moved while I moved is found so, also when both of us use TCP. Nothing that the DHT says is believed: the node
 * that answers must have the key, and only addresses that gossip might name are dialled.
 */

import { type Clock, LruMap, within } from "../../base/index.ts";
import { type Endpoint, Failure, formatEndpoint, type NodeId } from "../../core/index.ts";
import type { Carrier, Pipe } from "../carrier.ts";
import type { Dialable } from "../link.ts";
import type { Passage, PassageWay } from "../passage.ts";
import type { Found } from "./key-record.ts";

export interface FoundByKeyDeps {
  /** @throws {Failure} where the DHT cannot be asked */
  readonly find: (id: NodeId, signal: AbortSignal) => Promise<Found | undefined>;
  /** Whether there is a DHT to ask. */
  readonly canFind: () => boolean;
  readonly carrier: Pick<Carrier, "dial">;
  /** Only they are worth the packets. */
  readonly isFriend: (id: NodeId) => boolean;
  readonly mayDial: (endpoint: Endpoint) => boolean;
  readonly clock: Clock;
}

/** After the addresses that are known: most of the time one of them is right. */
const DELAY_MS = 1_000;
/** Whoever is asked for again and again moves no more often than this. */
const REMEMBERED_MS = 15_000;
const MAX_REMEMBERED = 256;
const FIND_MS = 10_000;
/** Two round trips; there may be four addresses. */
const DIAL_MS = 5_000;

export class FoundByKey implements Passage {
  readonly #deps: FoundByKeyDeps;
  readonly #remembered = new LruMap<NodeId, { readonly found: Found | undefined; readonly at: number }>(MAX_REMEMBERED);

  constructor(deps: FoundByKeyDeps) {
    this.#deps = deps;
  }

  ways(target: Dialable): readonly PassageWay[] {
    if (!this.canFind(target.id)) return [];
    return [{ kind: "tcp4", address: "found by key", delayMs: DELAY_MS, open: (signal) => this.#open(target, signal) }];
  }

  /** Whether its key may be looked up now. */
  canFind(id: NodeId): boolean {
    return this.#deps.isFriend(id) && this.#deps.canFind();
  }

  /**
   * What stands in the DHT under a key, as far as it may be dialled.
   * @throws {Failure} unreachable, timed-out
   */
  async find(id: NodeId, signal: AbortSignal): Promise<Found | undefined> {
    const found = await this.#find(id, signal);
    return found === undefined ? undefined : { ...found, endpoints: found.endpoints.filter(this.#deps.mayDial) };
  }

  /** @throws {Failure} unreachable, timed-out */
  async #open({ id, endpoints }: Dialable, signal: AbortSignal): Promise<Pipe> {
    const known = new Set(endpoints.map(formatEndpoint));
    const found = await this.find(id, signal);
    const fresh = (found?.endpoints ?? []).filter((endpoint) => !known.has(formatEndpoint(endpoint)));
    const failures: string[] = [];
    for (const endpoint of fresh) {
      const dialled = await this.#dial(endpoint, id, signal);
      if (!(dialled instanceof Failure)) return dialled;
      failures.push(`${formatEndpoint(endpoint)}: ${dialled.message}`);
    }
    throw new Failure("unreachable", failures.join("; ") || "in the DHT it names no other address than is known");
  }

  async #find(id: NodeId, signal: AbortSignal): Promise<Found | undefined> {
    const { clock, find } = this.#deps;
    const remembered = this.#remembered.get(id);
    if (remembered !== undefined && clock.now() - remembered.at < REMEMBERED_MS) return remembered.found;
    const late = () => new Failure("timed-out", `the DHT has not answered within ${FIND_MS / 1000} s`);
    const found = await within({ clock, timeoutMs: FIND_MS, late }, (attempt) => find(id, attempt), signal);
    this.#remembered.set(id, { found, at: clock.now() });
    return found;
  }

  async #dial(endpoint: Endpoint, expect: NodeId, signal: AbortSignal): Promise<Pipe | Failure> {
    const { clock, carrier } = this.#deps;
    const late = () => new Failure("timed-out", `no answer within ${DIAL_MS / 1000} s`);
    try {
      return await within(
        { clock, timeoutMs: DIAL_MS, late },
        (attempt) => carrier.dial({ endpoint, expect, asks: true }, attempt),
        signal,
      );
    } catch (error) {
      if (error instanceof Failure) return error;
      throw error;
    }
  }
}
