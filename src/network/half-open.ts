/**
 * Those who have connected and not yet said who they are.
 *
 * There is room for few, and whoever only connects pays nothing. So one machine holds few of the places,
 * and when all are taken the one that has waited longest in the largest group goes, not the one who comes. Groups that came the same
 * way may have a share that is theirs together.
 */

export interface Newcomer {
  /** One machine, see `remoteGroup`. */
  readonly group: string;
  /** Of several groups: whoever names them answers for them together. @default the group's own */
  readonly share?: string;
  /** Where many who mean well may come at once: each of them is turned away rather than interrupted. */
  readonly isTrusted: boolean;
  destroy(): void;
}

export interface HalfOpenOptions {
  readonly max: number;
  readonly maxPerGroup: number;
  /** @default as many as there are */
  readonly maxPerShare?: number;
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
    const all = [...this.#all];
    const own = all.filter(({ group }) => group === newcomer.group);
    const sharing = all.filter((other) => shareOf(other) === shareOf(newcomer));
    const { max, maxPerGroup, maxPerShare = max } = this.#options;
    if (newcomer.isTrusted ? own.length >= max : own.length >= maxPerGroup) {
      if (newcomer.isTrusted) return false;
      this.#drop(own);
    } else if (sharing.length >= maxPerShare) this.#drop(largest(sharing, ({ group }) => group));
    else if (all.length >= max) this.#drop(largest(largest(all, shareOf), ({ group }) => group));
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

function shareOf({ share, group }: Newcomer): string {
  return share ?? group;
}

/** The largest part of them, in their order. */
function largest(all: readonly Newcomer[], by: (each: Newcomer) => string): readonly Newcomer[] {
  const parts = [...Map.groupBy(all, by).values()];
  return parts.reduce((most, part) => (part.length > most.length ? part : most), []);
}
