/**
 * Ways to a node through others: the relays that it names, then my own friends that may hold a link to it: what it named may be
 * long ago. Of a friend the DHT may say which relays he has now.
 *
 * A relay is reached by itself, never through a further one. TLS inside ends at the node that is meant: a relay that drops, delays or
 * changes what it passes on makes this way fail, with its name in the reason, and the next one is tried.
 */

import { type Clock, within } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import type { Dialable, FoundByKey, InnerTls, Link, PassageWay, Pipe, Reach } from "../../network/index.ts";
import type { Hindrance, Passage } from "../../network/index.ts";

export interface RelayedWaysDeps {
  readonly id: NodeId;
  readonly inner: Pick<InnerTls, "dial">;
  readonly reach: Reach;
  /** Where to dial a relay. Undefined: nothing is known of it that may be believed. */
  readonly relay: (id: NodeId, target: NodeId) => Dialable | undefined;
  /** Who may hold a link to a node, whatever relays it names. */
  readonly helpers: (target: NodeId) => readonly NodeId[];
  /** What friends say in the DHT. @default nothing */
  readonly byKey?: Pick<FoundByKey, "canFind" | "find">;
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
/** Of each relay that was found by key: they are tried one after the other. */
const FOUND_MS = 5_000;

export class RelayedWays implements Passage {
  readonly #deps: RelayedWaysDeps;
  /** To these a link is wanted as to relays. */
  readonly #linking = new Map<NodeId, number>();

  constructor(deps: RelayedWaysDeps) {
    this.#deps = deps;
  }

  ways(target: Dialable): readonly PassageWay[] {
    if (this.#linking.has(target.id)) return [];
    const vias = this.#viasOf(target);
    const ways = vias.map((via, index) => this.#way(via, target.id, DELAY_MS + index * STAGGER_MS));
    return this.#deps.byKey?.canFind(target.id) === true ? [...ways, this.#wayFound(target, vias)] : ways;
  }

  #viasOf(target: Dialable): readonly NodeId[] {
    const { id, helpers } = this.#deps;
    const named = target.via.slice(0, MAX_RELAYS);
    const others = helpers(target.id).filter((helper) => !named.includes(helper));
    const all = new Set([...named, ...others.slice(0, MAX_HELPERS)]);
    return [...all].filter((via) => via !== id && via !== target.id);
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

  /** @param known those through which it is tried anyway */
  #wayFound(target: Dialable, known: readonly NodeId[]): PassageWay {
    const delayMs = DELAY_MS + known.length * STAGGER_MS;
    const open = (signal: AbortSignal) => this.#openFound(target, known, signal);
    return { kind: "relayed", address: "found by key", delayMs, open };
  }

  /** @throws {Failure} unreachable, timed-out */
  async #openFound({ id: target }: Dialable, known: readonly NodeId[], signal: AbortSignal): Promise<Pipe> {
    const { id, byKey, nameOf, clock } = this.#deps;
    const found = (await byKey?.find(target, signal))?.via ?? [];
    const fresh = found.filter((via) => via !== id && via !== target && !known.includes(via)).slice(0, MAX_RELAYS);
    const failures: string[] = [];
    for (const via of fresh) {
      const late = () => new Failure("timed-out", `${nameOf(via)} brought no answer within ${FOUND_MS / 1000} s`);
      try {
        const work = (attempt: AbortSignal) => this.#open(via, target, attempt);
        return await within({ clock, timeoutMs: FOUND_MS, late }, work, signal);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failures.push(error.message);
      }
    }
    throw new Failure("unreachable", failures.join("; ") || "in the DHT it names no other relay than is known");
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
    const target = relay(via, meant) ?? (await this.#lookUp(via, meant, signal));
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

  /** A relay that a friend names and that nobody here has heard of: it says for itself where it is. */
  async #lookUp(via: NodeId, meant: NodeId, signal: AbortSignal): Promise<Dialable | undefined> {
    const { byKey } = this.#deps;
    if (byKey?.canFind(meant) !== true) return undefined;
    const { endpoints = [] } = (await byKey.find(via, signal)) ?? {};
    return endpoints.length === 0 ? undefined : { id: via, endpoints, via: [] };
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
