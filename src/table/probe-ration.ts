/**
 * How often an address that never answered may be dialled, whoever told of it.
 *
 * Counted by destination: once a minute per address and port, ten times a minute per machine, three tries and
 * then a day's rest. So a thousand nodes that are all told of one victim send it next to nothing,
 * and nobody can scan ports with them. What the memory is too small for is forgotten, oldest first.
 */

import { type Clock, LruMap } from "../base/index.ts";
import { type Endpoint, formatEndpoint, netgroup } from "../core/index.ts";

export interface ProbeRationDeps {
  readonly clock: Clock;
  /** Loopback, LAN and networks that a person named. */
  readonly isExempt: (host: string) => boolean;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const MAX_TRIES = 3;
const MAX_PER_HOST = 10;
/** 16,384 endpoints of about 200 bytes. */
const MAX_ENDPOINTS = 16_384;
const MAX_HOSTS = 8192;

interface Tries {
  readonly count: number;
  readonly lastAt: number;
}

export class ProbeRation {
  readonly #deps: ProbeRationDeps;
  readonly #tries = new LruMap<string, Tries>(MAX_ENDPOINTS);
  readonly #hosts = new LruMap<string, readonly number[]>(MAX_HOSTS);
  readonly #answered = new LruMap<string, true>(MAX_ENDPOINTS);

  constructor(deps: ProbeRationDeps) {
    this.#deps = deps;
  }

  /** Whether `endpoint` may be dialled now. If so, that counts as a try. */
  take(endpoint: Endpoint): boolean {
    const key = formatEndpoint(endpoint);
    if (this.#deps.isExempt(endpoint.host) || this.#answered.get(key) === true) return true;
    const now = this.#deps.clock.now();
    const tries = this.#rested(key, now);
    if (tries.count >= MAX_TRIES || now - tries.lastAt < MINUTE_MS) return false;
    const host = netgroup(endpoint.host).host;
    const recent = (this.#hosts.get(host) ?? []).filter((at) => now - at < MINUTE_MS);
    if (recent.length >= MAX_PER_HOST) return false;
    this.#hosts.set(host, [...recent, now]);
    this.#tries.set(key, { count: tries.count + 1, lastAt: now });
    return true;
  }

  /** A node proved its key at `endpoint`: it is no third party. */
  noteAnswer(endpoint: Endpoint): void {
    this.#answered.set(formatEndpoint(endpoint), true);
  }

  get size(): { readonly endpoints: number; readonly hosts: number; readonly answered: number } {
    return { endpoints: this.#tries.size, hosts: this.#hosts.size, answered: this.#answered.size };
  }

  #rested(key: string, now: number): Tries {
    const tries = this.#tries.get(key);
    if (tries === undefined || now - tries.lastAt >= DAY_MS) return { count: 0, lastAt: Number.NEGATIVE_INFINITY };
    return tries;
  }
}
