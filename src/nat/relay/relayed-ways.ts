/**
 * Ways to a node through others: the relays that it names, then my own friends that may hold a link to it: what it named may be
 * long ago.
 *
 * A relay is reached by itself, never through a further one. TLS inside ends at the node that is meant: a relay that drops, delays or
 * changes what it passes on makes this way fail, with its name in the reason, and the next one is tried.
 */

import { type Clock, within } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import type { Dialable, InnerTls, Link, PassageWay, Pipe, Reach } from "../../network/index.ts";
import type { Hindrance, Passage } from "../../network/index.ts";

export interface RelayedWaysDeps {
  readonly id: NodeId;
  readonly inner: Pick<InnerTls, "dial">;
  readonly reach: Reach;
  /** Where to dial a relay. Undefined: nothing is known of it that may be believed. */
  readonly relay: (id: NodeId, target: NodeId) => Dialable | undefined;
  /** Who may hold a link to a node, whatever relays it names. */
  readonly helpers: (target: NodeId) => readonly NodeId[];
  readonly nameOf: (id: NodeId) => string;
  readonly clock: Clock;
}

/** Two seconds are for everything that is better (DESIGN, dial order). */
const DELAY_MS = 2_000;
/** The next relay gets its turn while the one before is still trying. */
const STAGGER_MS = 500;
/** A record names at most so many. */
const MAX_RELAYS = 3;
const MAX_HELPERS = 3;
/** A link to the relay (happy eyeballs), a stream, and a handshake inside. */
const TIMEOUT_MS = 15_000;

export class RelayedWays implements Passage {
  readonly #deps: RelayedWaysDeps;
  /** To these a link is wanted as to relays. */
  readonly #linking = new Map<NodeId, number>();

  constructor(deps: RelayedWaysDeps) {
    this.#deps = deps;
  }

  ways(target: Dialable): readonly PassageWay[] {
    if (this.#linking.has(target.id)) return [];
    const { id, helpers } = this.#deps;
    const named = target.via.slice(0, MAX_RELAYS);
    const others = helpers(target.id).filter((helper) => !named.includes(helper));
    return [...new Set([...named, ...others.slice(0, MAX_HELPERS)])]
      .filter((via) => via !== id && via !== target.id)
      .map((via, index) => this.#way(via, target.id, DELAY_MS + index * STAGGER_MS));
  }

  hindrance(target: Dialable): Hindrance | undefined {
    if (this.ways(target).length > 0) return undefined;
    return { kind: "relayed", reason: "it names no relay, and no friend is known who could pass links on to it" };
  }

  #way(via: NodeId, target: NodeId, delayMs: number): PassageWay {
    const { clock, nameOf } = this.#deps;
    const name = nameOf(via);
    const late = () => new Failure("timed-out", `${name} brought no answer within ${TIMEOUT_MS / 1000} s`);
    return {
      kind: "relayed",
      address: `via ${name}`,
      delayMs,
      open: (signal) =>
        within({ clock, timeoutMs: TIMEOUT_MS, late }, (attempt) => this.#open(via, target, attempt), signal),
    };
  }

  /** @throws {Failure} unreachable, wrong-key, timed-out, not-allowed, … */
  async #open(via: NodeId, target: NodeId, signal: AbortSignal): Promise<Pipe> {
    const { inner, nameOf } = this.#deps;
    const name = nameOf(via);
    const link = await naming(`${name} cannot be reached`, () => this.#link(via, target, signal));
    const stream = await naming(`${name} does not pass it on`, () => link.connect(`node:${target}`, signal));
    return await naming(`through ${name}`, () =>
      inner.dial(stream, { expect: target, via, remote: `via ${name}` }, signal),
    );
  }

  async #link(via: NodeId, meant: NodeId, signal: AbortSignal): Promise<Link> {
    const { reach, relay } = this.#deps;
    const known = reach.existing(via);
    if (known !== undefined && known.path.kind !== "relayed") return known;
    const target = relay(via, meant);
    if (target === undefined) throw new Failure("unreachable", "nothing is known of it");
    this.#linking.set(via, (this.#linking.get(via) ?? 0) + 1);
    try {
      const link = await reach.link({ ...target, via: [] }, signal);
      if (link.path.kind !== "relayed") return link;
      throw new Failure("unreachable", "it is itself reached through another one");
    } finally {
      const left = (this.#linking.get(via) ?? 1) - 1;
      if (left === 0) this.#linking.delete(via);
      else this.#linking.set(via, left);
    }
  }
}

/** Says of what kind of step a failure is: the same words come from the relay and from behind it. */
async function naming<T>(step: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    throw new Failure(error.code, `${step}: ${error.message}`, { cause: error });
  }
}
