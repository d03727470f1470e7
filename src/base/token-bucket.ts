/**
 * How often something may happen: `burst` at once, then one every `everyMs`.
 *
 * Buckets are kept per key (a peer, an address) and forgotten when full again, least recently
 * used first, so that strangers cannot make the table of buckets grow.
 */

import type { Clock } from "./clock.ts";

export interface TokenBucketOptions {
  readonly burst: number;
  readonly everyMs: number;
  /** How many keys are remembered. @default 4096 */
  readonly maxKeys?: number;
}

interface Level {
  tokens: number;
  at: number;
}

export class TokenBuckets {
  readonly #clock: Clock;
  readonly #options: Required<TokenBucketOptions>;
  readonly #levels = new Map<string, Level>();

  constructor(clock: Clock, { burst, everyMs, maxKeys = 4096 }: TokenBucketOptions) {
    this.#clock = clock;
    this.#options = { burst, everyMs, maxKeys };
  }

  /** Takes `tokens` if they are there. */
  take(key: string, tokens = 1): boolean {
    const level = this.#level(key);
    if (level.tokens < tokens) return false;
    level.tokens -= tokens;
    return true;
  }

  /** Milliseconds until `tokens` will be there. 0 when they are. */
  waitMs(key: string, tokens = 1): number {
    return Math.max(0, Math.ceil((tokens - this.#level(key).tokens) * this.#options.everyMs));
  }

  get size(): number {
    return this.#levels.size;
  }

  #level(key: string): Level {
    const { burst, everyMs, maxKeys } = this.#options;
    const now = this.#clock.now();
    const level = this.#levels.get(key) ?? { tokens: burst, at: now };
    level.tokens = Math.min(burst, level.tokens + (now - level.at) / everyMs);
    level.at = now;
    this.#levels.delete(key); // to the young end
    this.#levels.set(key, level);
    if (this.#levels.size > maxKeys) this.#levels.delete(this.#levels.keys().next().value as string);
    return level;
  }
}
