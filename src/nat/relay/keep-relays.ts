/**
 * Keeps a node that nobody can dial reachable: links to a few nodes that can be dialled, on which those may ask here.
 *
 * Each is asked first whether it will, lies in another network than the others, and is replaced when it is lost, or says nothing. Friends
 * come before strangers, near ones before far ones. Which they are, others learn from this node's record.
 *
 * One that says nothing is kept beside its replacement: if only the line is slow, what runs over it goes on. Whoever is one too many
 * then ends when he would have to be renewed.
 */

import { type Clock, isAbort, type Log, Scope, within } from "../../base/index.ts";
import { Failure, netgroup, type NodeId, shortNodeId } from "../../core/index.ts";
import type { Dialable, ReverseLink } from "../../network/index.ts";

export interface RelayCandidate extends Dialable {
  /** A friend, or an own node. */
  readonly joined: boolean;
  readonly rttMs: number | undefined;
  /** It did not answer of late: only where there is nobody else. @default it did */
  readonly doubtful?: boolean;
}

export interface KeepRelaysDeps {
  /** Whether nobody can dial this node. */
  readonly needed: () => boolean;
  /** Nodes that can be dialled, in no order. Asked only while one is missing. */
  readonly candidates: () => Iterable<RelayCandidate>;
  /** @returns for how long @throws {Failure} what it answers */
  readonly register: (relay: Dialable, signal: AbortSignal) => Promise<number>;
  readonly answerOn: (relay: Dialable, signal: AbortSignal) => Promise<ReverseLink>;
  /** Told of the relays, best first, whenever they are others than before. */
  readonly changed: (via: readonly NodeId[]) => void;
  readonly clock: Clock;
  readonly log: Log;
}

export interface KeepRelaysOptions {
  /** At most what a record has room for. @default 3 */
  readonly count?: number;
}

/** How soon a need, or a candidate, is noticed. */
const LOOK_EVERY_MS = 5_000;
/** So that a lost one is replaced within 10 s though the first that is tried says nothing. */
const TRY_MS = 4_000;
/** The one that was lost may be back at once, as after an update. */
const FIRST_REST_MS = 4_000;
const LAST_REST_MS = 600_000;
/** Just after this machine moved: what fails then fails because the network is not ready, and there is no time to lose. */
const MOVED_REST_MS = 500;
const MOVED_TRY_MS = 2_000;
/** With no relay at all, and no answer from any, it is likely this node's own line that fails: it must not be missed when it is back. */
const LONELY_REST_MS = 30_000;
/** What is lost within this time after this machine moved is lost because of that. */
const MOVED_MS = 15_000;
/** Whoever holds for this long is forgiven what was before. */
const STEADY_MS = 60_000;
/** Of those that failed or were lost. */
const MAX_RESTING = 256;

interface Held {
  readonly candidate: RelayCandidate;
  readonly link: ReverseLink;
  readonly since: number;
  renewAt: number;
  isSilent: boolean;
}

interface Rest {
  readonly failures: number;
  readonly since: number;
  /** It said no. */
  readonly answered: boolean;
}

export class KeepRelays {
  readonly #deps: KeepRelaysDeps;
  readonly #count: number;
  readonly #held = new Map<NodeId, Held>();
  readonly #resting = new Map<NodeId, Rest>();
  #told: readonly NodeId[] = [];
  #movedAt = Number.NEGATIVE_INFINITY;
  #wake: () => void = () => {};

  constructor(deps: KeepRelaysDeps, { count = 3 }: KeepRelaysOptions = {}) {
    this.#deps = deps;
    this.#count = count;
  }

  /** Whom this node asked to pass others on to it. */
  get via(): readonly NodeId[] {
    return this.#told;
  }

  has(id: NodeId): boolean {
    return this.#held.has(id);
  }

  /** Something has changed: a node that can be dialled, or whether this one can. */
  look(): void {
    this.#wake();
  }

  /** This machine has other addresses, or slept: what failed before may work now. */
  moved(): void {
    this.#movedAt = this.#deps.clock.now();
    this.#resting.clear();
    this.#wake();
  }

  /** Keeps them until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const woken = this.#woken(signal);
        if (this.#deps.needed()) await this.#round(signal);
        else this.#leaveAll();
        this.#tell();
        await woken;
      }
    } finally {
      this.#leaveAll();
    }
  }

  /** Resolves after a while, or when something ended or changed since this was called. */
  async #woken(signal: AbortSignal): Promise<void> {
    await using wait = new Scope(signal);
    const woken = new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    const restMs = this.#hasMoved && this.#missing > 0 ? MOVED_REST_MS : LOOK_EVERY_MS;
    const slept = this.#deps.clock.sleep(restMs, wait.signal).catch((error: unknown) => {
      if (!isAbort(error, wait.signal)) throw error;
    });
    await Promise.race([woken, slept]);
  }

  async #round(signal: AbortSignal): Promise<void> {
    await this.#renew(signal);
    while (this.#missing > 0) {
      const next = this.#choose();
      if (next.length === 0) return;
      const before = this.#held.size;
      await Promise.all(next.map((candidate) => this.#try(candidate, signal)));
      if (this.#held.size > before) this.#tell(); // whoever is there is told of before the next is looked for
    }
  }

  /** How many are to be found. Of those that say nothing, as many as that are kept besides. */
  get #missing(): number {
    const silent = [...this.#held.values()].filter(({ isSilent }) => isSilent).length;
    return Math.min(this.#count - (this.#held.size - silent), 2 * this.#count - this.#held.size);
  }

  async #renew(signal: AbortSignal): Promise<void> {
    const now = this.#deps.clock.now();
    const due = [...this.#held.values()].filter(({ renewAt }) => renewAt <= now);
    await Promise.all(
      due.map(async (held) => {
        const { candidate, link } = held;
        if (!this.#best().includes(held)) {
          this.#held.delete(candidate.id);
          link.close();
          return;
        }
        try {
          held.renewAt = now + (await this.#inTime(candidate, this.#deps.register, signal)) / 2;
        } catch (error) {
          if (!(error instanceof Failure)) throw error;
          this.#failed(candidate, error);
          link.close();
        }
      }),
    );
  }

  /** The best for the places that are free, each in a network of its own; those that failed of late only where there is nobody else. */
  #choose(): readonly RelayCandidate[] {
    const networks = new Set(Array.from(this.#held.values(), ({ candidate }) => networkOf(candidate)));
    const chosen: RelayCandidate[] = [];
    const failed = ({ id, doubtful }: RelayCandidate) => Number(doubtful === true || this.#resting.has(id));
    const inOrder = [...this.#deps.candidates()].sort((a, b) => failed(a) - failed(b) || byWorth(a, b));
    for (const candidate of inOrder) {
      const network = networkOf(candidate);
      if (network === undefined || networks.has(network) || this.#isPassedOver(candidate)) continue;
      networks.add(network);
      chosen.push(candidate);
      if (chosen.length === this.#missing) break;
    }
    return chosen;
  }

  #isPassedOver({ id }: RelayCandidate): boolean {
    const rest = this.#resting.get(id);
    if (this.#held.has(id) || rest === undefined) return this.#held.has(id);
    const most = this.#held.size === 0 && !rest.answered ? LONELY_REST_MS : LAST_REST_MS;
    const inARow = FIRST_REST_MS * 2 ** (rest.failures - 1);
    const restMs = Math.min(most, this.#hasMoved && !rest.answered ? MOVED_REST_MS : inARow);
    return this.#deps.clock.now() - rest.since < restMs;
  }

  async #try(candidate: RelayCandidate, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    try {
      const ttlMs = await this.#inTime(candidate, this.#deps.register, signal);
      const link = await this.#inTime(candidate, this.#deps.answerOn, signal);
      if (this.#held.size === 0) this.#forgive();
      const since = clock.now();
      const held: Held = { candidate, link, since, renewAt: since + ttlMs / 2, isSilent: false };
      this.#held.set(candidate.id, held);
      link.silences.on((isSilent) => {
        held.isSilent = isSilent;
        if (this.#held.get(candidate.id) === held) this.#wake();
      });
      log.info("reached through a relay", { node: shortNodeId(candidate.id) });
      void link.ended.then(() => this.#lost(candidate, link));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#failed(candidate, error);
    }
  }

  #inTime<T>(
    candidate: RelayCandidate,
    ask: (relay: Dialable, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const timeoutMs = this.#hasMoved ? MOVED_TRY_MS : TRY_MS;
    const late = () => new Failure("timed-out", `no answer within ${timeoutMs / 1000} s`);
    return within({ clock: this.#deps.clock, timeoutMs, late }, (each) => ask(candidate, each), signal);
  }

  #lost(candidate: RelayCandidate, link: ReverseLink): void {
    const held = this.#held.get(candidate.id);
    if (held?.link !== link) return;
    this.#held.delete(candidate.id);
    const now = this.#deps.clock.now();
    if (now - held.since >= STEADY_MS) this.#resting.delete(candidate.id);
    if (!this.#hasMoved) this.#failed(candidate, new Failure("link-lost", "its link has ended"));
    this.#wake();
  }

  get #hasMoved(): boolean {
    return this.#deps.clock.now() - this.#movedAt < MOVED_MS;
  }

  #failed({ id }: RelayCandidate, { code, message: why }: Failure): void {
    const { clock, log } = this.#deps;
    const answered = code !== "unreachable" && code !== "timed-out" && code !== "link-lost";
    const failures = this.#hasMoved && !answered ? 1 : (this.#resting.get(id)?.failures ?? 0) + 1;
    this.#resting.delete(id);
    this.#resting.set(id, { failures, since: clock.now(), answered });
    const [oldest] = this.#resting.keys();
    if (this.#resting.size > MAX_RESTING && oldest !== undefined) this.#resting.delete(oldest);
    log.debug("not reached through a relay", { node: shortNodeId(id), why });
  }

  /** This node reached nobody until now: who did not answer is not to blame. */
  #forgive(): void {
    for (const [id, { answered }] of this.#resting) if (!answered) this.#resting.delete(id);
  }

  #leaveAll(): void {
    const all = [...this.#held.values()];
    this.#held.clear();
    for (const { link } of all) link.close();
  }

  /** Those to be named: who says nothing only where a place is left. */
  #best(): readonly Held[] {
    const order = (a: Held, b: Held) => Number(a.isSilent) - Number(b.isSilent) || byWorth(a.candidate, b.candidate);
    return [...this.#held.values()].sort(order).slice(0, this.#count);
  }

  #tell(): void {
    const via = this.#best().map(({ candidate }) => candidate.id);
    if (via.join() === this.#told.join()) return;
    this.#told = via;
    this.#deps.changed(via);
  }
}

/** Friends first, then near ones. */
function byWorth(a: RelayCandidate, b: RelayCandidate): number {
  return Number(b.joined) - Number(a.joined) || (a.rttMs ?? Infinity) - (b.rttMs ?? Infinity) || (a.id < b.id ? -1 : 1);
}

/** What is likely to fail at once: one site. Undefined: it has no address. */
function networkOf({ endpoints: [endpoint] }: RelayCandidate): string | undefined {
  return endpoint === undefined ? undefined : netgroup(endpoint.host).site;
}
