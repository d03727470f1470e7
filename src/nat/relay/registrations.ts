/**
 * Who wants to be reached through this node: few strangers, each for a while, and only with a link that is up.
 *
 * A stranger's reverse link is kept for this and for nothing else.
 */

import type { Clock } from "../../base/index.ts";
import { Failure, type NodeId } from "../../core/index.ts";
import type { Link } from "../../network/index.ts";

export interface RegistrationsDeps {
  readonly existing: (id: NodeId) => Link | undefined;
  /** Own nodes, friends and guests: not counted as strangers. */
  readonly isKnown: (id: NodeId) => boolean;
  readonly clock: Clock;
}

export interface RegistrationsOptions {
  /** Renewed at half of it. @default 7_200_000 */
  readonly ttlMs?: number;
  /** @default 32, half of the reverse links that a node takes from strangers */
  readonly maxStrangers?: number;
  /** Of strangers at one address: keys cost nothing. @default 4 */
  readonly maxPerGroup?: number;
  /** @default 256 */
  readonly max?: number;
}

/** Between asking and the link that has to follow, and while a lost link comes back. */
const WITHOUT_LINK_MS = 30_000;

interface Registration {
  readonly group: string | undefined;
  until: number;
  /** Since when (Clock.now) it has had no link. */
  linklessSince: number;
  link: Link | undefined;
  kept: Disposable | undefined;
}

export class Registrations {
  readonly #deps: RegistrationsDeps;
  readonly #options: Required<RegistrationsOptions>;
  readonly #all = new Map<NodeId, Registration>();

  constructor(deps: RegistrationsDeps, options: RegistrationsOptions = {}) {
    this.#deps = deps;
    const { ttlMs = 7_200_000, maxStrangers = 32, maxPerGroup = 4, max = 256 } = options;
    this.#options = { ttlMs, maxStrangers, maxPerGroup, max };
  }

  /**
   * @param group who counts as one; undefined: it counts for itself
   * @returns how long it holds
   * @throws {Failure} busy
   */
  add(id: NodeId, group?: string): number {
    this.#prune();
    const { clock } = this.#deps;
    const { ttlMs } = this.#options;
    const until = clock.now() + ttlMs;
    const known = this.#all.get(id);
    if (known !== undefined) known.until = until;
    else {
      this.#checkRoom(id, group);
      this.#all.set(id, { until, group, linklessSince: clock.now(), link: undefined, kept: undefined });
    }
    this.linked(id);
    return ttlMs;
  }

  has(id: NodeId): boolean {
    this.#prune();
    return this.#all.has(id);
  }

  /** A link to `id` came up: it is kept open while the registration lasts. */
  linked(id: NodeId): void {
    this.#prune();
    const registration = this.#all.get(id);
    const link = this.#deps.existing(id);
    if (registration === undefined || link === undefined || registration.link === link) return;
    registration.kept?.[Symbol.dispose]();
    registration.link = link;
    registration.kept = link.keep();
    void link.ended.then(() => {
      if (registration.link !== link) return;
      registration.link = undefined;
      registration.linklessSince = this.#deps.clock.now();
      this.linked(id); // there may be another one
    });
  }

  get size(): number {
    this.#prune();
    return this.#all.size;
  }

  /** Those of whom `which` is true end. */
  end(which: (id: NodeId) => boolean): void {
    for (const id of this.#all.keys()) if (which(id)) this.#end(id);
  }

  #checkRoom(id: NodeId, group: string | undefined): void {
    const { isKnown } = this.#deps;
    const strangers = [...this.#all].filter(([each]) => !isKnown(each));
    const beside = strangers.filter(([, other]) => group !== undefined && other.group === group);
    const { max, maxStrangers, maxPerGroup } = this.#options;
    const hasRoom = strangers.length < maxStrangers && beside.length < maxPerGroup;
    if (this.#all.size < max && (isKnown(id) || hasRoom)) return;
    throw new Failure("busy", "this relay has as many nodes to pass links on to as it takes", {
      hint: "ask another node, or the owner of this one for an invite",
    });
  }

  #prune(): void {
    const now = this.#deps.clock.now();
    for (const [id, { until, link, linklessSince }] of this.#all)
      if (until <= now || (link === undefined && now - linklessSince >= WITHOUT_LINK_MS)) this.#end(id);
  }

  #end(id: NodeId): void {
    const registration = this.#all.get(id);
    this.#all.delete(id);
    registration?.kept?.[Symbol.dispose]();
    // Its other end sees that it ended, and looks for another relay.
    if (registration?.link?.idleSince !== undefined) registration.link.close("it is registered no more");
  }
}
