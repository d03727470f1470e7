/**
 * From a NodeId to a Link: the links there are, and how new ones come about.
 *
 * One asking link per node is enough, so whoever wants one gets the one that is open, and those who
 * want the same at the same time share one race. Links that nobody keeps or uses are closed, least
 * recently used first.
 */

import { isAbort, type Log, Scope, Topic } from "../base/index.ts";
import { type Endpoint, Failure, type NodeId, shortNodeId } from "../core/index.ts";
import type { Answering } from "./answering.ts";
import { Attempts } from "./attempts.ts";
import type { Listener, ListenOptions, Pipe } from "./carrier.ts";
import { H2Link } from "./h2-link.ts";
import { orAborted } from "./host-names.ts";
import { betterThan, type Dialable, type Link, type Path, type Reach } from "./link.ts";
import { LinkPool } from "./link-pool.ts";
import type { Hindrance, Passage } from "./passage.ts";
import { type Attempt, race, type Way } from "./race.ts";
import { SoundLinks } from "./sound-links.ts";
import { Upgrades, type UpgradesDeps } from "./upgrades.ts";
import { Ways, type WaysDeps, withPeer } from "./ways.ts";

export interface NetworkDeps extends WaysDeps {
  readonly answering: Answering;
  readonly log: Log;
  /** Own nodes, friends and guests: theirs are the reverse links that are always kept. */
  readonly isKnown: (id: NodeId) => boolean;
  /**
   * Asks the node at the other end to dial this one, where this one can be dialled: that path may be better.
   * @throws {Failure} what it answered
   */
  readonly askBack?: (link: Link, signal: AbortSignal) => Promise<void>;
  /**
   * Asks the node at the other end where it may be dialled beside `known`, though nobody has verified it. @returns what may be tried
   * @throws {Failure} what it answered
   */
  readonly askUnverified?: (
    link: Link,
    known: readonly Endpoint[],
    signal: AbortSignal,
  ) => Promise<readonly Endpoint[]>;
}

/** The end of a link on which the other node asks, though this one dialled. */
export interface ReverseLink {
  readonly path: Path;
  /** Resolves when it is gone, whoever ended it. */
  readonly ended: Promise<void>;
  /** true: the other end has not answered for 9 s at most, which a slow line may be to blame for. false: it does again. */
  readonly silences: Topic<boolean>;
  close(): void;
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
  readonly #ways: Ways;
  readonly #sound: SoundLinks;
  readonly #upgrades: Upgrades;

  constructor(deps: NetworkDeps, options: NetworkOptions = {}) {
    this.#deps = deps;
    this.#ways = new Ways(deps);
    this.#sound = new SoundLinks(deps.clock);
    this.#maxStrangersLinks = options.maxStrangersLinks ?? 64;
    this.#pool = this.#scope.own(new LinkPool(deps.clock));
    const find: UpgradesDeps["find"] = (target, link, signal) => this.#findBetter(target, link, signal);
    this.#upgrades = this.#scope.own(new Upgrades({ clock: deps.clock, log: deps.log, find }));
  }

  async link(target: Dialable, signal: AbortSignal): Promise<Link> {
    signal.throwIfAborted();
    if (target.id === this.#deps.id) throw new Failure("bad-argument", "that is this node itself");
    this.#upgrades.update(target);
    const open = this.#pool.of(target.id);
    const existing = await this.#firstSound(open, target, signal);
    if (existing !== undefined) return existing;
    const shared = this.#races.get(target.id) ?? this.#startRace(target, open.length > 0);
    return await shared.join(signal);
  }

  /** It is silent since this machine moved: whoever wants a link is not made to wait for it. */
  doubt(link: Link): void {
    this.#sound.doubt(link);
  }

  /** Who has no other way takes the link that there is. */
  async #firstSound(open: readonly Link[], { via }: Dialable, signal: AbortSignal): Promise<Link | undefined> {
    const [first] = open;
    const isOnly = open.length === 1 && via.length === 0 && first?.path.kind !== "punched";
    if (isOnly && first !== undefined && !this.#sound.isDoubted(first)) return first;
    return await this.#sound.first(open, signal);
  }

  /** @param hurry the path that there was is silent: a relay waits for nobody */
  #startRace(target: Dialable, hurry: boolean): SharedRace {
    const forget = () => {
      if (this.#races.get(target.id) === shared) this.#races.delete(target.id);
    };
    const work = (ending: AbortSignal) => this.#race(target, hurry, ending);
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
    const ways = this.#ways.dialling([endpoint], { expect: undefined, onAttempt });
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
    const silences = new Topic<boolean>();
    this.#deps.answering.take(pipe, (isSilent) => silences.publish(isSilent));
    return { path: pipe.path, ended, silences, close: () => void pipe.duplex.destroy() };
  }

  /** Lets others dial this node. */
  listen(options: ListenOptions, signal: AbortSignal): Promise<Listener> {
    return this.#deps.carrier.listen((pipe) => this.take(pipe), options, signal);
  }

  /** From now on its ways are tried too, until it is disposed of. */
  addPassage(passage: Passage): Disposable {
    return this.#ways.add(passage);
  }

  /** What was tried last to reach `id`, oldest first. */
  attempts(id: NodeId): readonly Attempt[] {
    return this.#attempts.of(id);
  }

  /** What was between has ended a link with `id`, and says why. */
  noteEnd(id: NodeId, { kind, remote }: Path, why: Failure): void {
    const at = this.#deps.clock.wallTime();
    this.#attempts.note(id, { path: kind, address: remote, outcome: why.code, ms: 0, reason: why.message, at });
  }

  /** What cannot be tried to reach it now, and why. */
  hindrances(target: Dialable): readonly Hindrance[] {
    return this.#ways.hindrances(target);
  }

  /** Ends every link with `id`, whoever asks on it. */
  hangUp(id: NodeId): void {
    this.#pool.close(id);
    this.#deps.answering.hangUp(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
  }

  async #race(target: Dialable, hurry: boolean, signal: AbortSignal): Promise<Link> {
    const ways = this.#waysTo(target);
    const link = await this.#raceOn(hurry ? ways.map((way) => ({ ...way, delayMs: 0 })) : ways, target.id, signal);
    this.#upgrades.start(target, link);
    return link;
  }

  async #raceOn(ways: readonly Way[], id: NodeId, signal: AbortSignal): Promise<Link> {
    const onAttempt = (attempt: Attempt) => this.#attempts.note(id, attempt);
    const link = await race(ways, { clock: this.#deps.clock, onAttempt }, signal);
    this.#adopt(link);
    return link;
  }

  #waysTo(target: Dialable): Way[] {
    return this.#ways.to(target, (attempt) => this.#attempts.note(target.id, attempt));
  }

  /** A better path than that of `link`, which this end or the other opened. */
  async #findBetter(target: Dialable, link: Link, signal: AbortSignal): Promise<Link | undefined> {
    const ways = this.#waysTo(target).filter(({ kind }) => betterThan(kind, link.path.kind));
    const tries: Promise<unknown>[] = [this.#tryUnverified(target, link, signal)];
    if (this.#deps.askBack !== undefined) tries.push(this.#deps.askBack(link, signal));
    if (ways.length > 0) tries.push(this.#raceOn(ways, target.id, signal));
    for (const outcome of await Promise.allSettled(tries)) {
      signal.throwIfAborted();
      if (outcome.status === "rejected" && !(outcome.reason instanceof Failure)) throw outcome.reason;
    }
    return this.#pool.of(target.id).find(({ path }) => betterThan(path.kind, link.path.kind));
  }

  async #tryUnverified(target: Dialable, link: Link, signal: AbortSignal): Promise<void> {
    const places = (await this.#deps.askUnverified?.(link, target.endpoints, signal)) ?? [];
    const onAttempt = (attempt: Attempt) => this.#attempts.note(target.id, attempt);
    const ways = this.#ways.dialling(places, { expect: target.id, onAttempt });
    if (ways.length > 0) await this.#raceOn(ways, target.id, signal);
  }

  #adopt(link: Link): void {
    const { peer, path } = link;
    for (const other of this.#pool.of(peer))
      if (betterThan(path.kind, other.path.kind)) this.#attempts.leave(peer, other.path, path.kind);
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
