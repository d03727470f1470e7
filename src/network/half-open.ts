/**
 * Those who have connected and not yet said who they are.
 *
 * There is room for few, and whoever only connects pays nothing. So one machine holds few of the places,
 * and when all are taken the one that has waited longest in the largest group goes, not the one who comes.
 */

export interface Newcomer {
  /** One machine, see `remoteGroup`. */
  readonly group: string;
  /** Where many who mean well may come at once: each of them is turned away rather than interrupted. */
  readonly isTrusted: boolean;
  destroy(): void;
}

export interface HalfOpenOptions {
  readonly max: number;
  readonly maxPerGroup: number;
}

export class HalfOpen {
  readonly #options: HalfOpenOptions;
  /** Oldest first. */
  readonly #all = new Set<Newcomer>();

  constructor(options: HalfOpenOptions) {
    this.#options = options;
  }

  /** @returns whether there is a place for it, until `delete` */
  add(newcomer: Newcomer): boolean {
    const groups = Map.groupBy(this.#all, ({ group }) => group);
    const own = groups.get(newcomer.group) ?? [];
    const { max, maxPerGroup } = this.#options;
    if (newcomer.isTrusted ? own.length >= max : own.length >= maxPerGroup) {
      if (newcomer.isTrusted) return false;
      this.#drop(own);
    } else if (this.#all.size >= max) {
      this.#drop([...groups.values()].reduce((largest, group) => (group.length > largest.length ? group : largest)));
    }
    this.#all.add(newcomer);
    return true;
  }

  delete(newcomer: Newcomer): void {
    this.#all.delete(newcomer);
  }

  #drop([oldest]: readonly Newcomer[]): void {
    if (oldest === undefined) return;
    this.#all.delete(oldest);
    oldest.destroy();
  }
}
