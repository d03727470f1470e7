/**
 * Two machines with one home: a home that was copied instead of made anew.
 *
 * Both sign with one key, so each outdoes the other's record for ever, and others reach now this one, now
 * that. It is seen in two ways: somebody who dials this node proves its own key; or a record of its key
 * that it did not sign this time keeps coming back with a higher `seq`. A single one is only what an earlier life of
 * this home said (a backup that was restored), and is outdone.
 */

import type { Log } from "../base/index.ts";
import type { NodeRecord } from "../core/index.ts";

export interface TwinsDeps {
  readonly boot: string;
  readonly outdo: (seq: number) => void;
  readonly log: Log;
}

/** Each copy counts once; a home is not copied to more machines than this by accident. */
const MAX_BOOTS = 64;

export class Twins {
  readonly #deps: TwinsDeps;
  readonly #seqs = new Map<string, number>();
  readonly #places = new Set<string>();

  constructor(deps: TwinsDeps) {
    this.#deps = deps;
  }

  /** A record of this node's key came from others. */
  heard(record: NodeRecord): void {
    const { boot, outdo } = this.#deps;
    outdo(record.seq);
    if (record.boot === boot) return;
    const before = this.#seqs.get(record.boot);
    if (before === undefined && this.#seqs.size < MAX_BOOTS) this.#seqs.set(record.boot, record.seq);
    if (before !== undefined && record.seq > before)
      this.#found(record.addresses[0] ?? "a machine without a public address");
  }

  /** Somebody at `remote` proved this node's own key. */
  met(remote: string): void {
    this.#found(remote.replace(/:\d+$/, ""));
  }

  get warnings(): readonly string[] {
    return Array.from(
      this.#places,
      (place) =>
        `another machine uses the key of this node (${place}): its home was copied; remove the copy's home there, so that it makes a key of its own`,
    );
  }

  #found(place: string): void {
    if (this.#places.has(place) || this.#places.size >= 8) return;
    this.#places.add(place);
    this.#deps.log.warn("another machine uses the key of this node", { place });
  }
}
