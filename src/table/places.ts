/**
 * How many strangers there are at each address, site and provider, and how many there may be.
 *
 * Keys are free and addresses are not, so crowding is counted in addresses: whoever mints a million keys
 * on one machine gets two rows. A node that is reached through others counts at them.
 */

import { netgroup, type NodeId } from "../core/index.ts";

export interface PlaceCaps {
  /** Per IPv4 address or IPv6 /64. */
  readonly host: number;
  /** Per /24 or /48. */
  readonly site: number;
  /** Per /16 or /32. */
  readonly provider: number;
  /** Per node that passes links on. */
  readonly relay: number;
}

/** Where a row counts: IP addresses, or else the nodes through which it is reached. */
export interface Whereabouts {
  readonly addresses: readonly string[];
  readonly via: readonly NodeId[];
}

export class Places {
  readonly #counts = new Map<string, number>();

  add(where: Whereabouts): void {
    for (const key of keysOf(where)) this.#counts.set(key, this.#count(key) + 1);
  }

  remove(where: Whereabouts): void {
    for (const key of keysOf(where)) {
      const left = this.#count(key) - 1;
      if (left > 0) this.#counts.set(key, left);
      else this.#counts.delete(key);
    }
  }

  /** Whether one more fits, counted together with `others`. */
  hasRoom(where: Whereabouts, caps: PlaceCaps, others?: Places): boolean {
    for (const key of keysOf(where)) {
      const cap = caps[key.slice(0, key.indexOf(" ")) as keyof PlaceCaps];
      const elsewhere = others === undefined ? 0 : others.#count(key);
      if (this.#count(key) + elsewhere >= cap) return false;
    }
    return true;
  }

  /** Different keys counted now: bounded by the rows that were added. */
  get size(): number {
    return this.#counts.size;
  }

  #count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
}

/** Each key once, however many of the addresses share it. */
function keysOf({ addresses, via }: Whereabouts): Set<string> {
  const keys = new Set<string>();
  for (const address of addresses) {
    const { host, site, provider } = netgroup(address);
    keys.add(`host ${host}`).add(`site ${site}`).add(`provider ${provider}`);
  }
  for (const id of via) keys.add(`relay ${id}`);
  return keys;
}
