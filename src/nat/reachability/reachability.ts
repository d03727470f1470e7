/**
 * Whether others can reach this node, found out by asking several of them to dial back.
 *
 * Looked at when something changed (addresses, a port mapping, the first helpers), and otherwise less and less often.
 * Only while this node lends: who does not listens nowhere.
 */

import { isIPv4 } from "node:net";
import { type Clock, type Log, type Random, Scope, shuffled, Topic } from "../../base/index.ts";
import { type Endpoint, Failure, netgroup, type NodeId, shortNodeId } from "../../core/index.ts";
import type { Errand, Link } from "../../network/index.ts";
import { askCheck } from "./ask.ts";
import { answerKnocks } from "./udp-knock.ts";
import {
  type Answer,
  type Candidate,
  judge,
  needsRelay,
  noVerdict,
  type Reachable,
  type Self,
  toRecord,
  type Verdict,
} from "./verdict.ts";

/** A node that may be asked: it answered here, at a public address or in a network that a person named. */
export interface Helper {
  readonly id: NodeId;
  readonly endpoint: Endpoint;
  readonly family: 4 | 6;
  /** What it shares with those whose word is as good as its own. */
  readonly place: string;
}

export interface ReachabilityDeps {
  readonly lends: () => boolean;
  readonly self: () => Self;
  /** Resolves when routers had time to open ports. */
  readonly ready: (signal: AbortSignal) => Promise<void>;
  readonly candidates: () => readonly Candidate[];
  readonly helpers: () => readonly Helper[];
  /** Whether an address means anything outside the house. */
  readonly isPublic: (address: string) => boolean;
  /** A link of its own for one question, which says at which address the helper sees this node. @throws {Failure} */
  readonly open: (errand: Errand, signal: AbortSignal) => Promise<Link>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Asked for each address. Two must agree; the third is for one that is silent, or lies. */
const HELPERS = 3;
const ENOUGH = 2;
/** What changes comes in bursts: an interface, its addresses, a mapping. */
const SETTLE_MS = 250;
/** While nothing changes: after a minute, for what was not ready at the start, then ever more seldom: a look is 30 kB. */
const FIRST_MS = 60_000;
const SLOWER = 16;
const LAST_MS = 3_600_000;
/** The port is the DHT's, which opens when lending begins: only where it has not done so another answers there. */
const DHT_FIRST_MS = 800;
/** While there was nobody to ask, whether there is somebody now. */
const LOOK_MS = 2_000;

export class Reachability {
  /** A verdict was reached, or what the record says of it is another than before. */
  readonly changes = new Topic<Verdict>();
  readonly #deps: ReachabilityDeps;
  #verdict = noVerdict;
  #at: number | undefined;
  #needsRelay = false;
  /** Who could be asked when it was looked at last. */
  #known: ReadonlySet<NodeId> = new Set();
  /** How often everything was forgotten. */
  #lives = 0;
  /** How often something changed, and up to which of these the verdict counts. */
  #moves = 0;
  #judgedAt = 0;
  #wake = Promise.withResolvers<void>();
  #woken = false;

  constructor(deps: ReachabilityDeps) {
    this.#deps = deps;
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** Wall time of the last verdict. */
  get at(): number | undefined {
    return this.#at;
  }

  get reachable(): Reachable {
    return toRecord(this.#verdict, this.#deps.self());
  }

  /** Where UDP from anywhere gets in: the first of the ports of its DHT endpoints. */
  get udpEndpoint(): Endpoint | undefined {
    const { udpPort, addresses } = this.reachable;
    const host = [...addresses, ...this.#verdict.observed].find((address) => isIPv4(address));
    return udpPort === 0 || host === undefined ? undefined : { host, port: udpPort };
  }

  get self(): Self {
    return this.#deps.self();
  }

  /** Whether it should keep links to relays: it lends, and others said that they cannot dial it. Until they do, as before. */
  get needsRelay(): boolean {
    return this.#needsRelay && this.#deps.lends();
  }

  /**
   * Something changed: what was found out has to be found again, and no longer counts at all where `forget` says so.
   * @param change stands: nothing went, so that what was verified stays so until it is refuted
   */
  recheck({ forget, stands = false }: { readonly forget: boolean; readonly stands?: boolean }): void {
    if (!stands) this.#moves++;
    if (forget) {
      this.#lives++;
      this.#set(noVerdict, undefined);
    }
    this.#woken = true;
    this.#wake.resolve();
  }

  async run(signal: AbortSignal): Promise<void> {
    let restMs = FIRST_MS;
    while (!signal.aborted) {
      this.#wake = Promise.withResolvers();
      this.#woken = false;
      const isSure = this.#deps.lends() && (await this.look(signal));
      if (this.#woken) restMs = FIRST_MS;
      else await this.#rest(isSure ? restMs : undefined, signal);
      restMs = this.#woken || !isSure ? FIRST_MS : Math.min(LAST_MS, restMs * SLOWER);
      await this.#deps.clock.sleep(SETTLE_MS, signal);
    }
  }

  /** Asks once. @returns whether enough nodes answered */
  async look(signal: AbortSignal): Promise<boolean> {
    const { ready, candidates, clock, log } = this.#deps;
    const [life, moves] = [this.#lives, this.#moves];
    await ready(signal);
    const helpers = this.#deps.helpers();
    this.#known = new Set(helpers.map(({ id }) => id));
    const ports = candidates();
    if (helpers.length === 0) return false;
    await using scope = new Scope(signal);
    for (const { udp } of ports) if (udp !== undefined) scope.spawn((running) => this.#answerKnocks(udp, running));
    const tried = await Promise.all(
      ports.map(async (candidate) => ({ candidate, answers: await this.#ask(candidate, helpers, scope.signal) })),
    );
    if (life !== this.#lives) return false; // it is about what was true before
    const before = this.#judgedAt === moves ? this.#verdict : noVerdict;
    const verdict = judge(tried, { verdict: before, at: this.#at ?? 0 });
    this.#judgedAt = moves;
    this.#set(verdict, clock.wallTime());
    log.debug("asked whether this node can be reached", { askedOf: verdict.askedOf, nat: this.reachable.nat });
    return verdict.askedOf >= ENOUGH;
  }

  async #answerKnocks(port: number, signal: AbortSignal): Promise<void> {
    await this.#deps.clock.sleep(DHT_FIRST_MS, signal);
    await answerKnocks(port, signal);
  }

  async #ask(candidate: Candidate, helpers: readonly Helper[], signal: AbortSignal): Promise<Answer[]> {
    const fitting = helpers.filter(({ family }) => family === candidate.family);
    const chosen = ofManyPlaces(shuffled(fitting, this.#deps.random)).slice(0, HELPERS);
    const answers = await Promise.all(chosen.map((helper) => this.#askOne(candidate, helper, signal)));
    return answers.filter((answer) => answer !== undefined);
  }

  /** Undefined: it gave no answer, or none that says anything about the world outside. */
  async #askOne(candidate: Candidate, helper: Helper, signal: AbortSignal): Promise<Answer | undefined> {
    const { open, clock, log } = this.#deps;
    const { from, port: tcp, udp } = candidate;
    try {
      const link = await open({ endpoint: helper.endpoint, expect: helper.id, from }, signal);
      try {
        const reply = await askCheck(link, { clock, tcp, ...(udp === undefined ? {} : { udp }) }, signal);
        if (!this.#isOutside(helper, reply.observed)) return undefined;
        const { id: by, place } = helper;
        return { by, place, observed: reply.observed, tcp: reply.tcp.outcome, udp: reply.udp?.outcome };
      } finally {
        link.close("the question is answered");
      }
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      log.debug("a node did not say whether it reaches this one", { node: shortNodeId(helper.id), why: error.message });
      return undefined;
    }
  }

  /** Who lives in the same house gets in where nobody else does: behind the same router, on the same network. */
  #isOutside({ endpoint }: Helper, observed: string): boolean {
    return this.#deps.isPublic(observed) && netgroup(endpoint.host).host !== netgroup(observed).host;
  }

  #set(verdict: Verdict, at: number | undefined): void {
    this.#verdict = verdict;
    this.#at = at;
    if (at !== undefined)
      this.#needsRelay = needsRelay(this.reachable, { verdict, isBehindNat: this.self.isBehindNat });
    this.changes.publish(verdict);
  }

  /** @param ms undefined: until there are helpers */
  async #rest(ms: number | undefined, signal: AbortSignal): Promise<void> {
    await using scope = new Scope(signal);
    const until = ms === undefined ? this.#hasNewHelpers(scope.signal) : this.#deps.clock.sleep(ms, scope.signal);
    await Promise.race([until, this.#wake.promise]);
  }

  async #hasNewHelpers(signal: AbortSignal): Promise<void> {
    const { clock, helpers, lends } = this.#deps;
    const since = clock.now();
    for (;;) {
      await clock.sleep(LOOK_MS, signal);
      if (!lends()) continue;
      if (clock.now() - since >= FIRST_MS || helpers().some(({ id }) => !this.#known.has(id))) return;
    }
  }
}

/** One of each place first, then the second of each. */
function ofManyPlaces(helpers: readonly Helper[]): Helper[] {
  const seen = new Map<string, number>();
  const numbered = helpers.map((helper) => {
    const number = seen.get(helper.place) ?? 0;
    seen.set(helper.place, number + 1);
    return { helper, number };
  });
  return numbered.sort((a, b) => a.number - b.number).map(({ helper }) => helper);
}
