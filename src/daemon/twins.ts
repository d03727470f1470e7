/**
 * Two machines with one home: a home that was copied instead of made anew.
 *
 * Both sign with one key, so each outdoes the other's record for ever, and others reach now this one, now
 * that. It is seen in two ways: somebody proves this node's own key on a link and names another boot; or a record
 * of its key that it did not sign this time keeps coming back with a higher `seq`. A single one is only what an
 * earlier life of this home said (a backup that was restored), and is outdone.
 */

import type { Log } from "../base/index.ts";
import type { NodeRecord } from "../core/index.ts";

export interface TwinsDeps {
  readonly boot: string;
  readonly outdo: (seq: number) => void;
  readonly log: Log;
}

/** Somebody who proved this node's own key. */
export interface Met {
  readonly boot: string;
  /** As in `192.0.2.7:8088`. */
  readonly remote: string;
}

/** Each copy counts once a start; a home is not copied to more machines than this by accident. */
const MAX_BOOTS = 64;
const MAX_WARNINGS = 8;

export class Twins {
  readonly #deps: TwinsDeps;
  readonly #seqs = new Map<string, number>();
  /** Where each is, by its boot. */
  readonly #found = new Map<string, string>();

  constructor(deps: TwinsDeps) {
    this.#deps = deps;
  }

  /** A record of this node's key came from others. */
  heard(record: NodeRecord): void {
    const { boot, outdo } = this.#deps;
    outdo(record.seq);
    if (record.boot === boot) return;
    const before = this.#seqs.get(record.boot);
    if (before === undefined && this.#seqs.size >= MAX_BOOTS) return;
    this.#seqs.set(record.boot, record.seq);
    if (before !== undefined && record.seq > before)
      this.#find(record.boot, record.addresses[0] ?? "without a public address");
  }

  /** Somebody proved this node's own key: this node itself, where it dialled itself, or a copy. @returns whether a copy */
  met({ boot, remote }: Met): boolean {
    if (boot === this.#deps.boot) return false;
    this.#find(boot, remote.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
    return true;
  }

  get warnings(): readonly string[] {
    return Array.from(
      new Set(this.#found.values()),
      (place) =>
        `another machine uses the key of this node (${place}): its home was copied; remove the copy's home there, so that it makes a key of its own`,
    );
  }

  #find(boot: string, place: string): void {
    if (this.#found.has(boot) || this.#found.size >= MAX_WARNINGS) return;
    this.#found.set(boot, place);
    this.#deps.log.warn("another machine uses the key of this node", { place });
  }
}
