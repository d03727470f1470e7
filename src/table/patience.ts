/**
 * How long to wait for a node before going on without it, judged by how long the others took.
 *
 * A walk must not wait ten seconds for one silent node when everybody else answered in 200 ms, and must not
 * give up a slow network (or a busy machine) either: the limit follows what was seen on this walk.
 */

/** Before anybody answered: a handshake of three round trips to the far side of the world, and a retransmission. */
const FIRST_MS = 2_500;
const LEAST_MS = 250;
const MOST_MS = 5_000;
/** Enough to see the slow ones, few enough to follow a network that gets slower. */
const WINDOW = 128;
const QUANTILE = 0.9;

export class Patience {
  readonly #seen: number[] = [];
  /** Of what was seen; undefined until somebody asks. A walk asks for each open try, fifty times a second. */
  #usual: number | undefined;
  /** When an answer last came, and when that one's try had begun. */
  #lastStartedAt = Number.NEGATIVE_INFINITY;

  note(startedAt: number, answeredAt: number): void {
    this.#seen.push(answeredAt - startedAt);
    if (this.#seen.length > WINDOW) this.#seen.shift();
    this.#usual = undefined;
    this.#lastStartedAt = Math.max(this.#lastStartedAt, startedAt);
  }

  /** How long a try that began at `startedAt` may take. */
  limitMs(startedAt: number): number {
    if (this.#seen.length === 0) return FIRST_MS;
    this.#usual ??= this.#usualMs();
    const usual = this.#usual;
    // Once others that began with it or after it have answered, its silence is its own.
    const limit = this.#lastStartedAt >= startedAt ? 1.5 * usual + 100 : 3 * usual + 250;
    return Math.min(MOST_MS, Math.max(LEAST_MS, limit));
  }

  #usualMs(): number {
    const sorted = this.#seen.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * QUANTILE))] as number;
  }
}
