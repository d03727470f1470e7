/**
 * From a NodeId to a Link: the links there are, and how new ones come about.
 *
 * One asking link per node is enough, so whoever wants one gets the one that is open, and those who
 * want the same at the same time share one race. Links that nobody keeps or uses are closed, least
 * recently used first.
 */

import { isIP, isIPv6 } from "node:net";
import { type Clock, isAbort, type Log, Scope, Topic } from "../base/index.ts";
import { type Endpoint, Failure, formatEndpoint, type NodeId, shortNodeId } from "../core/index.ts";
import type { Answering } from "./answering.ts";
import { Attempts } from "./attempts.ts";
import type { Carrier, Listener, ListenOptions, Pipe } from "./carrier.ts";
import { H2Link } from "./h2-link.ts";
import { HostNames, type Lookup, orAborted } from "./host-names.ts";
import type { Dialable, Link, Path, Reach } from "./link.ts";
import { LinkPool } from "./link-pool.ts";
import type { Passage, PassageWay } from "./passage.ts";
import { type Attempt, race, type Way } from "./race.ts";

/** IPv6 and the LAN go first, IPv4 follows (RFC 8305 section 8 recommends 250 ms). */
const IPV4_DELAY_MS = 250;
/** A node has at most 4 addresses in its record, and those that were typed, found on the LAN or seen last. */
const MAX_WAYS = 12;
/** Of one name. */
const MAX_ADDRESSES = 4;

export interface NetworkDeps {
  readonly id: NodeId;
  readonly carrier: Carrier;
  readonly answering: Answering;
  readonly clock: Clock;
  readonly log: Log;
  /** Loopback, LAN and networks that a person named. */
  readonly isTrusted: (address: string) => boolean;
  /** Own nodes, friends and guests: theirs are the reverse links that are always kept. */
  readonly isKnown: (id: NodeId) => boolean;
  /** @default the system's */
  readonly lookup?: Lookup;
  /** Whoever answers on this link proved this node's own key. @returns whether it is another machine @default it is not */
  readonly isTwin?: (link: Link, signal: AbortSignal) => Promise<boolean>;
}

/** The end of a link on which the other node asks, though this one dialled. */
export interface ReverseLink {
  readonly path: Path;
  /** Resolves when it is gone, whoever ended it. */
  readonly ended: Promise<void>;
  close(): void;
}

interface Wanted {
  readonly expect: NodeId | undefined;
  readonly onAttempt: (attempt: Attempt) => void;
}

interface RaceOfMany {
  readonly work: (signal: AbortSignal) => Promise<Link>;
  /** Nobody shall join it any more. */
  readonly forget: () => void;
}

export interface NetworkOptions {
  /** Asking links that strangers opened to us from behind their NAT. @default 64 */
  readonly maxStrangersLinks?: number;
}

export class Network implements Reach, AsyncDisposable {
  /** Every asking link that came up or ended. */
  readonly changes = new Topic<{ readonly kind: "opened" | "ended"; readonly link: Link }>();
  readonly #deps: NetworkDeps;
  readonly #maxStrangersLinks: number;
  readonly #scope = new Scope();
  readonly #pool: LinkPool;
  readonly #attempts = new Attempts();
  readonly #races = new Map<NodeId, SharedRace>();
  readonly #names: HostNames;
  readonly #passages = new Set<Passage>();

  constructor(deps: NetworkDeps, options: NetworkOptions = {}) {
    this.#deps = deps;
    this.#names = new HostNames(deps.lookup);
    this.#maxStrangersLinks = options.maxStrangersLinks ?? 64;
    this.#pool = this.#scope.own(new LinkPool(deps.clock));
  }

  async link(target: Dialable, signal: AbortSignal): Promise<Link> {
    signal.throwIfAborted();
    if (target.id === this.#deps.id) throw new Failure("bad-argument", "that is this node itself");
    const existing = this.#pool.get(target.id);
    if (existing !== undefined) return existing;
    const shared = this.#races.get(target.id) ?? this.#startRace(target);
    return await shared.join(signal);
  }

  #startRace(target: Dialable): SharedRace {
    const forget = () => {
      if (this.#races.get(target.id) === shared) this.#races.delete(target.id);
    };
    const work = (ending: AbortSignal) => this.#race(target, ending);
    const shared = new SharedRace({ work, forget }, this.#scope.signal);
    this.#races.set(target.id, shared);
    return shared;
  }

  existing(id: NodeId): Link | undefined {
    return this.#pool.get(id);
  }

  /** Every asking link that is open. */
  get links(): readonly Link[] {
    return this.#pool.all;
  }

  /**
   * A link to whoever answers at `endpoint`: the key is proven, but nobody said it is the right one.
   * @throws {Failure} unreachable
   */
  async identify(endpoint: Endpoint, signal: AbortSignal): Promise<Link> {
    const onAttempt = () => {};
    const ways = this.#ways([endpoint], { expect: undefined, onAttempt });
    const link = await race(ways, { clock: this.#deps.clock, onAttempt }, signal);
    const known = this.#pool.get(link.peer);
    if (known !== undefined) {
      link.close("there is a link already");
      return known;
    }
    this.#adopt(link);
    return link;
  }

  /**
   * Dials `target` so that it can ask here: what a node behind NAT does. Resolves once the key is proven; the link is then watched
   * closely until it ends.
   * @throws {Failure} unreachable
   */
  async answerOn(target: Dialable, signal: AbortSignal): Promise<ReverseLink> {
    const failures: string[] = [];
    for (const endpoint of target.endpoints) {
      try {
        const pipe = await this.#deps.carrier.dial({ endpoint, expect: target.id, asks: false }, signal);
        return this.#answerOn(pipe);
      } catch (error) {
        if (!(error instanceof Failure)) throw error;
        failures.push(error.message);
      }
    }
    throw new Failure("unreachable", failures.join("; ") || "no address of that node is known");
  }

  #answerOn(pipe: Pipe): ReverseLink {
    const ended = new Promise<void>((resolve) => pipe.duplex.once("close", resolve));
    this.#deps.answering.take(pipe, { watched: true });
    return { path: pipe.path, ended, close: () => void pipe.duplex.destroy() };
  }

  /** Lets others dial this node. */
  listen(options: ListenOptions, signal: AbortSignal): Promise<Listener> {
    return this.#deps.carrier.listen((pipe) => this.take(pipe), options, signal);
  }

  /** From now on its ways are tried too, until it is disposed of. */
  addPassage(passage: Passage): Disposable {
    this.#passages.add(passage);
    return { [Symbol.dispose]: () => void this.#passages.delete(passage) };
  }

  /** What was tried last to reach `id`, oldest first. */
  attempts(id: NodeId): readonly Attempt[] {
    return this.#attempts.of(id);
  }

  /** Ends every link with `id`, whoever asks on it. */
  hangUp(id: NodeId): void {
    this.#pool.close(id);
    this.#deps.answering.hangUp(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
  }

  async #race(target: Dialable, signal: AbortSignal): Promise<Link> {
    const onAttempt = (attempt: Attempt) => this.#attempts.note(target.id, attempt);
    const addresses = this.#ways(target.endpoints, { expect: target.id, onAttempt });
    const ways = [...addresses, ...this.#passageWays(target)];
    const link = await race(ways, { clock: this.#deps.clock, onAttempt }, signal);
    this.#adopt(link);
    return link;
  }

  #ways(endpoints: readonly Endpoint[], wanted: Wanted): Way[] {
    const unique = new Map(endpoints.map((endpoint) => [formatEndpoint(endpoint), endpoint]));
    return Array.from(unique.values(), (endpoint) =>
      isIP(endpoint.host) === 0 ? this.#namedWay(endpoint, wanted) : this.#way(endpoint, wanted.expect),
    ).slice(0, MAX_WAYS);
  }

  /** A name is one more runner: nobody waits for the name server who has an address. */
  #namedWay(endpoint: Endpoint, wanted: Wanted): Way {
    return {
      kind: "tcp4",
      address: formatEndpoint(endpoint),
      delayMs: IPV4_DELAY_MS,
      open: async (signal) => {
        const hosts = (await this.#names.resolve(endpoint.host, signal)).slice(0, MAX_ADDRESSES);
        if (hosts.length === 0) throw unresolved(endpoint.host);
        const ways = hosts.map((host) => this.#way({ host, port: endpoint.port }, wanted.expect));
        return await race(ways, { clock: this.#deps.clock, onAttempt: wanted.onAttempt }, signal);
      },
    };
  }

  #way(endpoint: Endpoint, expect: NodeId | undefined): Way {
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

  #passageWays(target: Dialable): Way[] {
    const open = async (way: PassageWay, signal: AbortSignal) =>
      await H2Link.open(withPeer(await way.open(signal)), this.#deps.clock, signal);
    return [...this.#passages].flatMap((passage) =>
      passage.ways(target).map((way) => ({ ...way, open: (signal: AbortSignal) => open(way, signal) })),
    );
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

  #adopt(link: Link): void {
    this.#pool.add(link);
    this.changes.publish({ kind: "opened", link });
    void link.ended.then(() => this.changes.publish({ kind: "ended", link }));
  }

  /** A pipe that somebody else opened, whatever carries it: he asks here, or (reverse) lets us ask him. */
  take(pipe: Pipe): void {
    if (!pipe.asks) {
      this.#deps.answering.take(pipe);
      return;
    }
    const crowded = this.#pool.strangers(this.#deps.isKnown) >= this.#maxStrangersLinks;
    if (pipe.peer === undefined || pipe.peer === this.#deps.id || (crowded && !this.#deps.isKnown(pipe.peer))) {
      pipe.duplex.destroy();
      return;
    }
    this.#scope.spawn((signal) => this.#takeReverse(withPeer(pipe), signal));
  }

  async #takeReverse(pipe: Pipe & { readonly peer: NodeId }, signal: AbortSignal): Promise<void> {
    try {
      this.#adopt(await H2Link.open(pipe, this.#deps.clock, signal));
    } catch (error) {
      if (isAbort(error, signal)) return;
      if (!(error instanceof Failure)) {
        // One that somebody else opened: a defect in it must not end all the others.
        this.#deps.log.error("taking a reverse link failed", { node: shortNodeId(pipe.peer), error });
        return;
      }
      this.#deps.log.debug("a reverse link did not come up", { node: shortNodeId(pipe.peer), why: error.message });
    }
  }
}

/** One race that several callers wait for; it ends early when none of them waits any more. */
class SharedRace {
  readonly #done: Promise<Link>;
  readonly #scope: Scope;
  readonly #forget: () => void;
  #waiting = 0;

  constructor({ work, forget }: RaceOfMany, parent: AbortSignal) {
    this.#scope = new Scope(parent);
    this.#forget = forget;
    this.#done = work(this.#scope.signal).finally(() => this.#end());
  }

  async join(signal: AbortSignal): Promise<Link> {
    this.#waiting++;
    try {
      return await orAborted(this.#done, signal);
    } finally {
      if (--this.#waiting === 0) this.#end();
    }
  }

  #end(): void {
    this.#forget();
    void this.#scope.close();
  }
}

function unresolved(host: string): Failure {
  return new Failure("unreachable", `the name "${host}" does not resolve to an address`, {
    hint: "check its spelling and this machine's name server, or give the IP address",
  });
}

function withPeer(pipe: Pipe): Pipe & { readonly peer: NodeId } {
  if (pipe.peer === undefined) throw new Error("a dialled pipe has a proven key");
  return Object.assign(pipe, { peer: pipe.peer });
}
