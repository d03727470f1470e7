/**
 * A visit: dial a node, see its key proven, ask for what it knows, measure how far it is.
 *
 * All that this node ever finds out about another one comes from visits. The walk and the exchange
 * differ only in whom they visit and when.
 */

import { type Clock, within } from "../base/index.ts";
import { Failure, type FailureCode, type NodeId } from "../core/index.ts";
import type { Dialable, Link, Reach } from "../network/index.ts";
import type { Asker } from "./asker.ts";
import { MAX_REPLY_RECORDS } from "./contract.ts";
import type { NodeTable } from "./node-table.ts";
import type { ProbeRation } from "./probe-ration.ts";
import type { Row } from "./row.ts";

export interface VisitorDeps {
  readonly table: NodeTable;
  readonly asker: Asker;
  readonly ration: ProbeRation;
  readonly reach: Reach;
  /** The median of a few round trips. @throws {Failure} link-lost, timed-out */
  readonly ping: (link: Link, signal: AbortSignal) => Promise<{ readonly rttMs: number; readonly jitterMs: number }>;
  readonly clock: Clock;
}

export interface VisitOptions {
  /** Records a page. 0: only whether it is there. @default 250 */
  readonly limit?: number;
  /** @default 1 */
  readonly maxPages?: number;
  /** Told of nodes that were not known before, as they come. */
  readonly onFound?: (ids: readonly NodeId[]) => void;
}

export type Visit =
  | { readonly kind: "answered"; readonly link: Link /** How many records were new. */; readonly news: number }
  /** It proved its key, and did not answer the question. */
  | { readonly kind: "mute"; readonly link: Link; readonly why: FailureCode }
  | { readonly kind: "failed"; readonly why: FailureCode }
  /** Not now: its addresses have been tried enough, or nobody knows any. */
  | { readonly kind: "resting" };

/** A carrier gives up a silent address within this; a slow and lossy one gets there. */
const DIAL_TIMEOUT_MS = 10_000;
/** For 400 KiB on a line of 1 Mbit/s. */
const ASK_TIMEOUT_MS = 5_000;
const PING_TIMEOUT_MS = 5_000;

export class Visitor {
  readonly #deps: VisitorDeps;
  readonly #visiting = new Map<NodeId, number>();

  constructor(deps: VisitorDeps) {
    this.#deps = deps;
  }

  /** Whether `id` is being visited right now. */
  isVisiting(id: NodeId): boolean {
    return this.#visiting.has(id);
  }

  /** Whether there is a link already: a visit then takes no dialling. */
  isLinked(id: NodeId): boolean {
    return this.#deps.reach.existing(id) !== undefined;
  }

  async visit(id: NodeId, options: VisitOptions, signal: AbortSignal): Promise<Visit> {
    const row = this.#deps.table.get(id);
    if (row === undefined) return { kind: "resting" };
    this.#visiting.set(id, (this.#visiting.get(id) ?? 0) + 1);
    try {
      return await this.#visit(row, options, signal);
    } finally {
      const left = (this.#visiting.get(id) ?? 1) - 1;
      if (left === 0) this.#visiting.delete(id);
      else this.#visiting.set(id, left);
    }
  }

  async #visit(row: Row, options: VisitOptions, signal: AbortSignal): Promise<Visit> {
    const { table, reach, ration, clock } = this.#deps;
    const target = this.#rationed(row);
    if (target === undefined) {
      table.postpone(row);
      return { kind: "resting" };
    }
    const startedAt = clock.now();
    let link: Link;
    try {
      link = await this.#timed(DIAL_TIMEOUT_MS, (attempt) => reach.link(target, attempt), signal);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      table.failed(row.id, startedAt);
      return { kind: "failed", why: error.code };
    }
    const welcome = table.answered(row.id, link.path);
    if (row.proven !== undefined) ration.noteAnswer(row.proven);
    if (!welcome) return { kind: "answered", link, news: 0 };
    const [asked] = await Promise.all([this.#ask(link, options, signal), this.#ping(link, signal)]);
    return asked;
  }

  /** Without the addresses that have been tried enough. Undefined: there is nothing to dial now. */
  #rationed(row: Row): Dialable | undefined {
    const { table, ration, reach } = this.#deps;
    const target = table.dialable(row);
    if (reach.existing(row.id) !== undefined || table.isExempt(row)) return target;
    const endpoints = target.endpoints.filter((endpoint) => ration.take(endpoint));
    return endpoints.length + target.via.length === 0 ? undefined : { ...target, endpoints };
  }

  async #ask(
    link: Link,
    { limit = MAX_REPLY_RECORDS, maxPages = 1, onFound }: VisitOptions,
    signal: AbortSignal,
  ): Promise<Visit> {
    const { asker } = this.#deps;
    let news = 0;
    if (asker.isBarred(link.peer)) return { kind: "answered", link, news };
    try {
      for (let page = 0; page < maxPages; page++) {
        const { freshIds, fresh, changed, more } = await this.#timed(
          ASK_TIMEOUT_MS,
          (attempt) => asker.page(link, limit, attempt),
          signal,
        );
        news += fresh + changed;
        if (freshIds.length > 0) onFound?.(freshIds);
        if (!more) break;
      }
      return { kind: "answered", link, news };
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      return { kind: "mute", link, why: error.code };
    }
  }

  async #ping(link: Link, signal: AbortSignal): Promise<void> {
    const { table, ping } = this.#deps;
    try {
      const measures = await this.#timed(PING_TIMEOUT_MS, (attempt) => ping(link, attempt), signal);
      table.note(link.peer, measures);
    } catch (error) {
      if (!(error instanceof Failure)) throw error; // what it answered is worth keeping without a round trip
    }
  }

  #timed<T>(timeoutMs: number, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    const late = () => new Failure("timed-out", `no answer within ${timeoutMs / 1000} s`);
    return within({ clock: this.#deps.clock, timeoutMs, late }, work, signal);
  }
}
