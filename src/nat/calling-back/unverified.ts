/**
 * Places where a node may be dialled though too few others got in there to say so in its record.
 *
 * The key proves who answers, so that they are worth a try of whoever reaches it in a roundabout way; and of nobody else.
 */

import type { Clock } from "../../base/index.ts";
import { type AllowedNetworks, type Endpoint, Failure, formatEndpoint, mayDialGossiped } from "../../core/index.ts";
import type { Link } from "../../network/index.ts";
import type { Mapped } from "../mapping/state.ts";
import { CheckRation } from "../reachability/check-ration.ts";
import type { Reachability } from "../reachability/reachability.ts";
import { askUnverified } from "./ask.ts";
import { MAX_UNVERIFIED } from "./contract.ts";

export interface Known {
  readonly reachability: Pick<Reachability, "verdict" | "reachable">;
  readonly mapped: Mapped;
  /** Whether an address means anything outside the house. */
  readonly isPublic: (address: string) => boolean;
}

/** Where one other node got in, or, while none could be asked, what the router says. */
export function unverifiedPlaces({ reachability, mapped, isPublic }: Known): readonly Endpoint[] {
  const { verdict, reachable } = reachability;
  const foreign = verdict.addresses.filter(({ origin }) => origin !== "own");
  const reached = foreign
    .filter(({ finding, reachedBy }) => reachedBy > 0 && (finding === "unsure" || finding === "verified"))
    .map(({ address: host, port }): Endpoint => ({ host, port }));
  const isTold = ({ host, port }: Endpoint) => reachable.port === port && reachable.addresses.includes(host);
  const places = foreign.some(({ askedOf }) => askedOf > 0) ? reached : sayingOf(mapped);
  return places.filter((place) => isPublic(place.host) && !isTold(place)).slice(0, MAX_UNVERIFIED);
}

function sayingOf({ four }: Mapped): readonly Endpoint[] {
  if (four.kind !== "mapped" || four.ports.external === undefined) return [];
  return [{ host: four.ports.external, port: four.ports.tcp }];
}

export interface UnverifiedDeps {
  readonly allowed: AllowedNetworks;
  readonly clock: Clock;
}

/** What others say of themselves, as far as it may be dialled, and as seldom as for a check: they may name a third party's address. */
export class Unverified {
  readonly #deps: UnverifiedDeps;
  readonly #ration: CheckRation;

  constructor(deps: UnverifiedDeps) {
    this.#deps = deps;
    this.#ration = new CheckRation(deps.clock);
  }

  /** @throws {Failure} what it answered; timed-out, link-lost, bad-reply */
  async ask(link: Link, known: readonly Endpoint[], signal: AbortSignal): Promise<readonly Endpoint[]> {
    const { places } = await askUnverified(link, this.#deps.clock, signal);
    const tried = new Set(known.map(formatEndpoint));
    return places.filter(
      (place) =>
        !tried.has(formatEndpoint(place)) && mayDialGossiped(place, this.#deps.allowed) && this.#isInTurn(link, place),
    );
  }

  #isInTurn({ peer }: Link, { host, port }: Endpoint): boolean {
    try {
      this.#ration.begin(peer, host, port)[Symbol.dispose]();
      return true;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return false;
    }
  }
}
