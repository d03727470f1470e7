/**
 * Looks for a better path to nodes that are reached in a roundabout way, for as long as they are: at once, then ever more
 * seldom. New streams take the better path as soon as it is there; those that run finish where they are.
 */

import { type Clock, isAbort, type Log, Scope } from "../base/index.ts";
import type { NodeId } from "../core/index.ts";
import { type Dialable, isRoundabout, type Link } from "./link.ts";

const RESTS_MS = [0, 2_000, 5_000, 15_000, 30_000, 60_000, 120_000, 300_000] as const;
const MOST_REST_MS = 600_000;
const OVER = new DOMException("the search for a better path is over", "AbortError");

export interface UpgradesDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Tries each way that is better than `link`. Undefined: there is none now. */
  readonly find: (target: Dialable, link: Link, signal: AbortSignal) => Promise<Link | undefined>;
}

interface Search {
  target: Dialable;
  readonly end: AbortController;
}

export class Upgrades implements AsyncDisposable {
  readonly #deps: UpgradesDeps;
  readonly #searches = new Map<NodeId, Search>();
  readonly #scope = new Scope();

  constructor(deps: UpgradesDeps) {
    this.#deps = deps;
  }

  /** What is known of a node now: the next try uses it. */
  update(target: Dialable): void {
    const search = this.#searches.get(target.id);
    if (search !== undefined) search.target = target;
  }

  /** Until there is a better path than `link`, or it ends. An older search for the same node ends. */
  start(target: Dialable, link: Link): void {
    if (!isRoundabout(link.path) || this.#scope.signal.aborted) return;
    this.#searches.get(target.id)?.end.abort(OVER);
    const search: Search = { target, end: new AbortController() };
    this.#searches.set(target.id, search);
    void link.ended.then(() => search.end.abort(OVER));
    this.#scope.spawn((ending) => this.#search(search, link, AbortSignal.any([ending, search.end.signal])));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
  }

  /** A defect in one search must not end all the others. */
  async #find(target: Dialable, link: Link, signal: AbortSignal): Promise<Link | undefined> {
    try {
      return await this.#deps.find(target, link, signal);
    } catch (error) {
      if (isAbort(error, signal)) throw error;
      this.#deps.log.error("looking for a better path failed", { node: target.id, error });
      return undefined;
    }
  }

  async #search(search: Search, link: Link, signal: AbortSignal): Promise<void> {
    try {
      for (let tries = 0; ; tries++) {
        await this.#deps.clock.sleep(RESTS_MS[tries] ?? MOST_REST_MS, signal);
        const better = await this.#find(search.target, link, signal);
        if (better === undefined) continue;
        this.start(search.target, better);
        return;
      }
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
    } finally {
      if (this.#searches.get(search.target.id) === search) this.#searches.delete(search.target.id);
    }
  }
}
