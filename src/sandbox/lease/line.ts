/**
 * A line before work that can only be done so many times at once: so many for each key and so many in all. Who came first
 * goes first, but for those whose key has its share already: they let others pass.
 */

export interface LineOptions {
  readonly perKey: number;
  readonly inAll: number;
}

interface Waiting<K> {
  readonly key: K;
  readonly enter: () => void;
}

export class Line<K> {
  readonly #options: LineOptions;
  readonly #inside = new Map<K, number>();
  readonly #waiting: Waiting<K>[] = [];
  #all = 0;

  constructor(options: LineOptions) {
    this.#options = options;
  }

  /**
   * Resolves when it is one's turn, or when `signal` aborts: whoever has to clear up can.
   * @returns what is called once at the end, to let the next one in
   */
  async enter(key: K, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return () => undefined;
    if (this.#hasRoom(key)) return this.#letIn(key);
    return await new Promise((resolve) => {
      const give = () => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        resolve(() => undefined);
      };
      const waiting: Waiting<K> = {
        key,
        enter: () => {
          signal.removeEventListener("abort", give);
          resolve(this.#letIn(key));
        },
      };
      signal.addEventListener("abort", give, { once: true });
      this.#waiting.push(waiting);
    });
  }

  #hasRoom(key: K): boolean {
    return this.#all < this.#options.inAll && (this.#inside.get(key) ?? 0) < this.#options.perKey;
  }

  #letIn(key: K): () => void {
    this.#all++;
    this.#inside.set(key, (this.#inside.get(key) ?? 0) + 1);
    return () => {
      this.#all--;
      const left = (this.#inside.get(key) ?? 0) - 1;
      if (left > 0) this.#inside.set(key, left);
      else this.#inside.delete(key);
      const next = this.#waiting.findIndex((waiting) => this.#hasRoom(waiting.key));
      if (next >= 0) this.#waiting.splice(next, 1)[0]?.enter();
    };
  }
}
