/**
 * What a node does for its table in the background: exchange with one neighbour at a time, test who was
 * only heard of, ask again those that fell silent.
 *
 * A quarter of the exchanges are with friends. While there is news a round takes half a minute; when nothing changes,
 * the rounds get rarer up to ten minutes, so that an idle node stays quiet.
 */

import { type Clock, type Log, type Random, randomBelow, Scope, shuffled } from "../base/index.ts";
import type { NodeId } from "../core/index.ts";
import type { NodeTable } from "./node-table.ts";
import type { Outbound } from "./outbound.ts";
import type { Row } from "./row.ts";
import type { Visitor } from "./visitor.ts";

export interface ExchangeDeps {
  readonly table: NodeTable;
  readonly visitor: Visitor;
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface ExchangeOptions {
  /** Between two rounds while there is news. @default 30_000 */
  readonly intervalMs?: number;
  /** Between two rounds when nothing changes. @default 600_000 */
  readonly idleIntervalMs?: number;
  /** Nodes that were only heard of, tested in each round. @default 8 */
  readonly feelers?: number;
}

/** A feeler asks for a little: enough that lineages mix, too little to matter when nobody new is found. */
const FEELER_RECORDS = 50;
/** One verified row is visited again so often: 360 handshakes a day are 2 MB. */
const RECHECK_MS = 240_000;
/** One in so many rounds tries a node that was given up. */
const LOST_ROUNDS = 10;
const RETRY_TICK_MS = 1_000;
const RETRIES_AT_ONCE = 8;
/** An answer from anybody within this proves that this end is connected. */
const EVIDENCE_MS = 20_000;
const FRIEND_SHARE = 0.25;
/** Of the rest, so many are with somebody other than the neighbours, who might all agree with each other. */
const ELSEWHERE_SHARE = 0.25;

export class Exchange {
  readonly #deps: ExchangeDeps;
  readonly #intervalMs: number;
  readonly #idleIntervalMs: number;
  readonly #feelers: number;
  #rounds = 0;
  #recheckedAt = 0;
  /** Joined nodes and guests that are new, or said where they are now, and were not asked there yet. */
  readonly #moved = new Set<NodeId>();
  #wake = Promise.withResolvers<void>();

  constructor(deps: ExchangeDeps, options: ExchangeOptions = {}) {
    this.#deps = deps;
    this.#intervalMs = options.intervalMs ?? 30_000;
    this.#idleIntervalMs = options.idleIntervalMs ?? 600_000;
    this.#feelers = options.feelers ?? 8;
  }

  /** Works until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await using scope = new Scope(signal);
    const { changes } = this.#deps.table;
    const listening = changes.on(({ id }) => this.#noteMoved(id));
    scope.defer(() => listening[Symbol.dispose]());
    scope.spawn((ending) => this.#runRounds(ending));
    scope.spawn((ending) => this.#runRetries(ending));
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    scope.signal.addEventListener("abort", () => resolve(), { once: true });
    if (!scope.signal.aborted) await ended;
  }

  /** One round. @returns whether anything new came of it, or is left to be tested */
  async round(signal: AbortSignal): Promise<boolean> {
    const { outbound } = this.#deps;
    this.#rounds++;
    await this.#noticeLost(signal);
    await outbound.fill(signal);
    let news = await this.#visit(this.#partner(), undefined, signal);
    const testing = this.#untested();
    const found = await Promise.all(testing.map((row) => this.#visit(row.id, FEELER_RECORDS, signal)));
    news ||= found.includes(true);
    await this.#recheck(signal);
    return news || testing.length > 0;
  }

  /** Asks again those that fell silent and whose time has come. */
  async retry(signal: AbortSignal): Promise<void> {
    const { table, clock } = this.#deps;
    if (await this.#noticeLost(signal)) this.#wake.resolve();
    const now = clock.now();
    const isDue = (row: Row) => row.nextTryAt <= now;
    const suspects = Array.from(table.rows.suspects).filter(isDue);
    const unclear = Array.from(table.rows.joined).filter(
      (row) => row.state !== "suspect" && row.nextTryAt > 0 && isDue(row),
    );
    const due = [...new Set([...unclear, ...suspects, ...this.#dueMoved(isDue)])].sort(
      (a, b) => Number(b.relation !== undefined) - Number(a.relation !== undefined),
    );
    if (due.length === 0) return;
    await this.#proveConnected(signal);
    await Promise.all(due.slice(0, RETRIES_AT_ONCE).map((row) => this.#visit(row.id, 0, signal)));
  }

  /** Strangers wait for their turn in a round; these do not. */
  #noteMoved(id: NodeId): void {
    const { table } = this.#deps;
    const row = table.get(id);
    if (row?.state === "heard" && table.isExempt(row)) this.#moved.add(id);
    else this.#moved.delete(id);
  }

  #dueMoved(isDue: (row: Row) => boolean): Row[] {
    const rows = Array.from(this.#moved, (id) => this.#deps.table.get(id));
    return rows.filter((row) => row !== undefined).filter(isDue);
  }

  async #runRounds(signal: AbortSignal): Promise<void> {
    const { random, log } = this.#deps;
    let intervalMs = this.#intervalMs;
    while (!signal.aborted) {
      const news = await this.round(signal);
      intervalMs = news ? this.#intervalMs : Math.min(this.#idleIntervalMs, intervalMs * 2);
      log.debug("exchanged tables", { news, nextMs: Math.round(intervalMs) });
      await this.#rest(intervalMs * (0.75 + random.next() / 2), signal);
    }
  }

  /** Until the next round is due, or a neighbour was lost whose place is to be filled. */
  async #rest(ms: number, signal: AbortSignal): Promise<void> {
    this.#wake = Promise.withResolvers();
    await using scope = new Scope(signal);
    await Promise.race([this.#deps.clock.sleep(ms, scope.signal), this.#wake.promise]);
  }

  /** A link that ended says that its node may be gone: it is asked at once. */
  async #noticeLost(signal: AbortSignal): Promise<boolean> {
    const lost = this.#deps.outbound.dropEnded();
    if (lost.length > 0) await this.#proveConnected(signal);
    await Promise.all(lost.map((id) => this.#visit(id, 0, signal)));
    return lost.length > 0;
  }

  async #runRetries(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#deps.clock.sleep(RETRY_TICK_MS, signal);
      await this.retry(signal);
    }
  }

  /** @param limit undefined: a whole page */
  async #visit(id: NodeId | undefined, limit: number | undefined, signal: AbortSignal): Promise<boolean> {
    if (id === undefined) return false;
    const visit = await this.#deps.visitor.visit(id, limit === undefined ? {} : { limit }, signal);
    return visit.kind === "answered" && visit.news > 0;
  }

  /** Whose turn it is. */
  #partner(): NodeId | undefined {
    const { table, outbound, random } = this.#deps;
    const friends = Array.from(table.rows.joined).filter((row) => row.state === "verified");
    if (friends.length > 0 && random.next() < FRIEND_SHARE) return pick(friends, random)?.id;
    const neighbour = random.next() < ELSEWHERE_SHARE ? undefined : pick(outbound.ids, random);
    return neighbour ?? this.#anyVerified()?.id ?? pick(outbound.ids, random);
  }

  #anyVerified(): Row | undefined {
    const { table, random } = this.#deps;
    const skip = randomBelow(random, Math.max(1, table.rows.size));
    let index = 0;
    let last: Row | undefined;
    for (const row of table.rows.all()) {
      if (row.state === "verified") last = row;
      if (index++ >= skip && last !== undefined) return last;
    }
    return last;
  }

  /** Of those that were only heard of, some of each lineage, so that a loud one does not take all turns. */
  #untested(): Row[] {
    const { table, clock, random } = this.#deps;
    const now = clock.now();
    const lineages = shuffled(table.rows.heard.values(), random);
    const queues = lineages.map((rows) => rows.values().filter((row) => row.nextTryAt <= now));
    const chosen: Row[] = [];
    while (queues.length > 0 && chosen.length < this.#feelers) {
      const queue = queues.shift();
      const next = queue?.next();
      if (queue === undefined || next === undefined || next.done === true) continue;
      chosen.push(next.value);
      queues.push(queue);
    }
    for (const row of chosen) table.rows.rotate(row);
    return chosen;
  }

  /** The verified row that was not visited for longest, and now and then one that was given up. */
  async #recheck(signal: AbortSignal): Promise<void> {
    const { table, clock } = this.#deps;
    if (this.#rounds % LOST_ROUNDS === 0) await this.#visit(table.revive()?.id, 0, signal);
    const now = clock.now();
    if (now - this.#recheckedAt < RECHECK_MS) return;
    this.#recheckedAt = now;
    let oldest: Row | undefined;
    for (const row of table.rows.all()) {
      if (row.state === "verified" && (oldest === undefined || row.checkedAt < oldest.checkedAt)) oldest = row;
    }
    if (oldest !== undefined && now - oldest.checkedAt >= RECHECK_MS) await this.#visit(oldest.id, 0, signal);
  }

  /** One neighbour that answers shows that silence from others is their own. */
  async #proveConnected(signal: AbortSignal): Promise<void> {
    const { table, outbound, clock, random } = this.#deps;
    if (clock.now() - table.lastAnswerAt < EVIDENCE_MS) return;
    await Promise.all(
      shuffled(outbound.ids, random)
        .slice(0, 2)
        .map((id) => this.#visit(id, 0, signal)),
    );
  }
}

function pick<T>(items: readonly T[], random: Random): T | undefined {
  return items[randomBelow(random, items.length)];
}
