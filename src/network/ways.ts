/** The ways to a node, from what is known of it: its addresses, its names, and what passages add. */

import { isIP, isIPv6 } from "node:net";
import type { Clock } from "../base/index.ts";
import { type Endpoint, Failure, formatEndpoint, type NodeId } from "../core/index.ts";
import type { Carrier, Pipe } from "./carrier.ts";
import { H2Link } from "./h2-link.ts";
import { HostNames, type Lookup } from "./host-names.ts";
import type { Dialable, Link } from "./link.ts";
import type { Hindrance, Passage, PassageWay } from "./passage.ts";
import { type Attempt, race, type Way } from "./race.ts";

/** IPv6 and the LAN go first, IPv4 follows (RFC 8305 section 8 recommends 250 ms). */
const IPV4_DELAY_MS = 250;
/** A node has at most 4 addresses in its record, and those that were typed, found on the LAN or seen last. */
const MAX_WAYS = 12;
/** Of one name. */
const MAX_ADDRESSES = 4;

export interface WaysDeps {
  readonly id: NodeId;
  readonly carrier: Carrier;
  readonly clock: Clock;
  readonly isTrusted: (address: string) => boolean;
  /** @default the system's */
  readonly lookup?: Lookup;
  /** Whoever answers on this link proved this node's own key. @returns whether it is another machine @default it is not */
  readonly isTwin?: (link: Link, signal: AbortSignal) => Promise<boolean>;
}

export interface Wanted {
  readonly expect: NodeId | undefined;
  readonly onAttempt: (attempt: Attempt) => void;
}

export class Ways {
  readonly #deps: WaysDeps;
  readonly #names: HostNames;
  readonly #passages = new Set<Passage>();

  constructor(deps: WaysDeps) {
    this.#deps = deps;
    this.#names = new HostNames(deps.lookup);
  }

  add(passage: Passage): Disposable {
    this.#passages.add(passage);
    return { [Symbol.dispose]: () => void this.#passages.delete(passage) };
  }

  /** All of them. */
  to(target: Dialable, onAttempt: Wanted["onAttempt"]): Way[] {
    const addresses = this.dialling(target.endpoints, { expect: target.id, onAttempt });
    const around = [...this.#passages].flatMap((passage) => passage.ways(target));
    return [...addresses, ...around.map((way) => this.#through(way))];
  }

  /** Kinds of paths that cannot be tried. */
  hindrances(target: Dialable): Hindrance[] {
    return [...this.#passages].flatMap((passage) => passage.hindrance?.(target) ?? []);
  }

  dialling(endpoints: readonly Endpoint[], wanted: Wanted): Way[] {
    const unique = new Map(endpoints.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
    return Array.from(unique.values(), (endpoint) =>
      isIP(endpoint.host) === 0 ? this.#toName(endpoint, wanted) : this.#toAddress(endpoint, wanted.expect),
    ).slice(0, MAX_WAYS);
  }

  /** A name is one more runner: nobody waits for the name server who has an address. */
  #toName(endpoint: Endpoint, wanted: Wanted): Way {
    return {
      kind: "tcp4",
      address: formatEndpoint(endpoint),
      delayMs: IPV4_DELAY_MS,
      open: async (signal) => {
        const hosts = (await this.#names.resolve(endpoint.host, signal)).slice(0, MAX_ADDRESSES);
        if (hosts.length === 0) throw unresolved(endpoint.host);
        const ways = hosts.map((host) => this.#toAddress({ host, port: endpoint.port }, wanted.expect));
        return await race(ways, { clock: this.#deps.clock, onAttempt: wanted.onAttempt }, signal);
      },
    };
  }

  #toAddress(endpoint: Endpoint, expect: NodeId | undefined): Way {
    const { carrier, clock, isTrusted } = this.#deps;
    const six = isIPv6(endpoint.host);
    return {
      kind: six ? "tcp6" : "tcp4",
      address: formatEndpoint(endpoint),
      delayMs: six || isTrusted(endpoint.host) ? 0 : IPV4_DELAY_MS,
      open: async (signal) => {
        const pipe = await carrier.dial({ endpoint, expect, asks: true }, signal);
        const link = await H2Link.open(withPeer(pipe), clock, signal);
        if (link.peer === this.#deps.id) throw await this.#metSelf(link, signal);
        return link;
      },
    };
  }

  #through(way: PassageWay): Way {
    const open = async (signal: AbortSignal) =>
      await H2Link.open(withPeer(await way.open(signal)), this.#deps.clock, signal);
    return { ...way, open };
  }

  async #metSelf(link: Link, signal: AbortSignal): Promise<Failure> {
    try {
      const isTwin = (await this.#deps.isTwin?.(link, signal)) ?? false;
      return new Failure(
        "unreachable",
        isTwin ? "a copy of this node answers there" : "this node itself answers there",
      );
    } finally {
      link.close("a node needs no link to itself");
    }
  }
}

function unresolved(host: string): Failure {
  return new Failure("unreachable", `the name "${host}" does not resolve to an address`, {
    hint: "check its spelling and this machine's name server, or give the IP address",
  });
}

export function withPeer(pipe: Pipe): Pipe & { readonly peer: NodeId } {
  if (pipe.peer === undefined) throw new Error("a dialled pipe has a proven key");
  return Object.assign(pipe, { peer: pipe.peer });
}
