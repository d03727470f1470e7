/**
 * The asking links that are open, best first for each node.
 *
 * Idle ones that nobody keeps are closed: after a minute, and least recently used first when there
 * are more than a few dozen, so that a walk over a thousand nodes does not leave a thousand links.
 */

import { type Clock, Scope } from "../base/index.ts";
import type { NodeId } from "../core/index.ts";
import { type Link, pathKinds } from "./link.ts";

const IDLE_MS = 60_000;
const SWEEP_MS = 15_000;
const MAX_IDLE_LINKS = 64;

export class LinkPool implements AsyncDisposable {
  readonly #clock: Clock;
  readonly #scope = new Scope();
  readonly #links = new Map<NodeId, Link[]>();

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#scope.spawn((signal) => this.#sweep(signal));
  }

  get(id: NodeId): Link | undefined {
    return this.#links.get(id)?.find((link) => link.open);
  }

  /** All that are open, best first. */
  of(id: NodeId): readonly Link[] {
    return (this.#links.get(id) ?? []).filter((link) => link.open);
  }

  get all(): readonly Link[] {
    return [...this.#links.values()].flat();
  }

  /** Nodes among them that are not `known`. */
  strangers(isKnown: (id: NodeId) => boolean): number {
    let count = 0;
    for (const id of this.#links.keys()) if (!isKnown(id)) count++;
    return count;
  }

  /** Between equals the newest comes first: whoever opens another link may have lost the one before, and nobody knows yet. */
  add(link: Link): void {
    const others = this.#links.get(link.peer) ?? [];
    this.#links.set(
      link.peer,
      [link, ...others].sort((a, b) => rank(a) - rank(b)),
    );
    void link.ended.then(() => this.#remove(link));
    this.#closeIdle(MAX_IDLE_LINKS);
  }

  close(id: NodeId): void {
    for (const link of this.#links.get(id) ?? []) link.close("hung up");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
    const all = this.all;
    for (const link of all) link.close("this node stops");
    await Promise.all(all.map((link) => link.ended));
  }

  #remove(link: Link): void {
    const left = (this.#links.get(link.peer) ?? []).filter((other) => other !== link);
    if (left.length === 0) this.#links.delete(link.peer);
    else this.#links.set(link.peer, left);
  }

  async #sweep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(SWEEP_MS, signal);
      const before = this.#clock.now() - IDLE_MS;
      for (const link of this.all) if ((link.idleSince ?? Number.POSITIVE_INFINITY) < before) link.close("idle");
    }
  }

  #closeIdle(most: number): void {
    const idle = this.all.filter((link) => link.idleSince !== undefined);
    idle.sort((a, b) => (a.idleSince ?? 0) - (b.idleSince ?? 0));
    for (const link of idle.slice(0, Math.max(0, idle.length - most))) link.close("idle");
  }
}

/** Direct before relayed, in the order of `pathKinds`. */
function rank(link: Link): number {
  return pathKinds.indexOf(link.path.kind);
}
