/**
 * Measures in the background, so that the table shows what is true now, and stays quiet.
 *
 * Round trips go only over links that are there anyway, one packet each, into a median of the last
 * five. Speed is tested of joined nodes alone: once when they are first reached, then rarely. A day of
 * this costs at most 2 MB of pings and 4 MB of tests, over all nodes.
 */

import { type Clock, type Log, type Random, Scope, TokenBuckets } from "../base/index.ts";
import { Failure, type NodeId, shortNodeId } from "../core/index.ts";
import type { Link } from "../network/index.ts";
import { pingOnce, type RoundTrip, summarise } from "./round-trip.ts";
import type { SpeedTests } from "./speed-tests.ts";

/** A node that may be measured: joined, or linked for another reason. */
export interface Measurable {
  readonly id: NodeId;
  readonly joined: boolean;
  /** Wall time of its last speed test. */
  readonly speedAt: number | undefined;
}

export interface MeasureRoundsDeps {
  readonly nodes: () => Iterable<Measurable>;
  readonly existing: (id: NodeId) => Link | undefined;
  readonly note: (id: NodeId, roundTrip: RoundTrip) => void;
  readonly speedTests: SpeedTests;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** A ping is 300 bytes both ways with everything around it: eight joined links at this rate make 1.7 MB a day. */
const JOINED_ROUND_MS = 120_000;
const OTHERS_ROUND_MS = 20 * 60_000;
const MAX_NODES_A_ROUND = 8;
const KEPT_SAMPLES = 5;

/** Looking for joined nodes without a speed sends nothing. Whoever cannot wait calls `measureNew`. */
const LOOK_MS = 60_000;
/** Short: it should not be felt. Each way. */
const UNATTENDED = { maxBytes: 20_000_000, maxMs: 3_000 } as const;
const DAY_MS = 24 * 3_600_000;
const RETEST_AFTER_MS = 7 * DAY_MS;
/** Shared by all tests after a node's first: one every ten days, wherever the clock jumps. */
const RETEST_BYTES = 2 * UNATTENDED.maxBytes;
const RETEST_BYTES_PER_DAY = 4_000_000;
/** As in ndt7: at random, so that nodes do not fall into step. https://github.com/m-lab/ndt-server/blob/main/spec/ndt7-protocol.md */
const RETEST_MEAN_MS = 6 * 3_600_000;
const RETEST_MIN_MS = 36 * 60_000;
const RETEST_MAX_MS = 15 * 3_600_000;

interface Try {
  readonly failures: number;
  readonly notBefore: number;
}

export class MeasureRounds {
  readonly #deps: MeasureRoundsDeps;
  readonly #samples = new Map<NodeId, { readonly link: Link; readonly samples: readonly number[] }>();
  readonly #tries = new Map<NodeId, Try>();
  readonly #budget: TokenBuckets;

  constructor(deps: MeasureRoundsDeps) {
    this.#deps = deps;
    this.#budget = new TokenBuckets(deps.clock, { burst: RETEST_BYTES, everyMs: DAY_MS / RETEST_BYTES_PER_DAY });
  }

  async run(signal: AbortSignal): Promise<void> {
    await using scope = new Scope(signal);
    scope.spawn((s) => this.#every(JOINED_ROUND_MS, () => this.#pingRound("joined", s), s));
    scope.spawn((s) => this.#every(OTHERS_ROUND_MS, () => this.#pingRound("others", s), s));
    scope.spawn((s) => this.#every(LOOK_MS, () => this.measureNew(s), s));
    scope.spawn((s) => this.#retest(s));
    await ended(scope.signal);
  }

  /** Tests the speed of every joined node that is linked and was never tested. A node that cannot be tested is left for later. */
  async measureNew(signal: AbortSignal): Promise<void> {
    const now = this.#deps.clock.now();
    for (const { id, joined, speedAt } of [...this.#deps.nodes()]) {
      const link = this.#deps.existing(id);
      const due = joined && speedAt === undefined && (this.#tries.get(id)?.notBefore ?? 0) <= now;
      if (due && link !== undefined) await this.#testSpeed(link, signal);
    }
  }

  async #every(ms: number, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#deps.clock.sleep(ms, signal);
      await work();
    }
  }

  async #pingRound(which: "joined" | "others", signal: AbortSignal): Promise<void> {
    const nodes = [...this.#deps.nodes()];
    this.#forgetAllBut(nodes);
    const links = nodes
      .filter(({ joined }) => joined === (which === "joined"))
      .map(({ id }) => this.#deps.existing(id))
      .filter((link) => link !== undefined)
      .slice(0, MAX_NODES_A_ROUND);
    await Promise.all(links.map((link) => this.#ping(link, signal)));
  }

  async #ping(link: Link, signal: AbortSignal): Promise<void> {
    try {
      const sample = await pingOnce(link, this.#deps.clock, signal);
      const before = this.#samples.get(link.peer);
      // Another link may take another path: its samples do not mix.
      const samples = [...(before?.link === link ? before.samples : []), sample].slice(-KEPT_SAMPLES);
      this.#samples.set(link.peer, { link, samples });
      this.#deps.note(link.peer, { ...summarise(samples), path: link.path.kind });
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      this.#samples.delete(link.peer);
    }
  }

  async #retest(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#deps.clock.sleep(this.#restMs(), signal);
      const oldest = this.#oldestSpeed();
      if (oldest !== undefined && this.#budget.take("tests", RETEST_BYTES)) await this.#testSpeed(oldest, signal);
    }
  }

  #oldestSpeed(): Link | undefined {
    const { clock, nodes, existing } = this.#deps;
    const before = clock.wallTime() - RETEST_AFTER_MS;
    return [...nodes()]
      .filter(({ joined, speedAt }) => joined && speedAt !== undefined && speedAt < before)
      .toSorted((a, b) => (a.speedAt ?? 0) - (b.speedAt ?? 0))
      .map(({ id }) => existing(id))
      .find((link) => link !== undefined);
  }

  #restMs(): number {
    const drawn = -Math.log(1 - this.#deps.random.next()) * RETEST_MEAN_MS;
    return Math.min(RETEST_MAX_MS, Math.max(RETEST_MIN_MS, drawn));
  }

  async #testSpeed(link: Link, signal: AbortSignal): Promise<void> {
    const { speedTests, clock, log } = this.#deps;
    try {
      await speedTests.run(link, UNATTENDED, signal);
      this.#tries.delete(link.peer);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const failures = (this.#tries.get(link.peer)?.failures ?? 0) + 1;
      this.#tries.set(link.peer, {
        failures,
        notBefore: clock.now() + Math.min(RETEST_MEAN_MS, LOOK_MS * 4 ** (failures - 1)),
      });
      log.debug("a speed test did not come about", { node: shortNodeId(link.peer), why: error.message });
    }
  }

  #forgetAllBut(nodes: readonly Measurable[]): void {
    const ids = new Set(nodes.map(({ id }) => id));
    for (const map of [this.#samples, this.#tries]) for (const id of map.keys()) if (!ids.has(id)) map.delete(id);
  }
}

function ended(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
