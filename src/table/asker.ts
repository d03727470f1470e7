/**
 * What this node asked whom, so that it hears each thing once: the cursor of each neighbour, and what it has
 * learned elsewhere since. Also who sent junk, and is not asked again for a while.
 */

import { type Clock, LruMap, type Random } from "../base/index.ts";
import { Failure, type NodeId } from "../core/index.ts";
import type { Link } from "../network/index.ts";
import type { TableQuestion, TableReply } from "./contract.ts";
import { encodeFilter } from "./known-filter.ts";
import type { NodeTable } from "./node-table.ts";
import type { Learned } from "./record-intake.ts";
import type { VersionedRecord } from "./row.ts";

export interface AskerDeps {
  readonly table: NodeTable;
  readonly self: () => VersionedRecord | undefined;
  readonly ask: (link: Link, question: TableQuestion, signal: AbortSignal) => Promise<TableReply>;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Page extends Learned {
  readonly more: boolean;
}

/** What happened to all that was asked, for metrics. */
export interface AskerCounts {
  readonly asked: number;
  /** Replies that were too large, not as agreed, or full of junk. */
  readonly refused: number;
  readonly bad: number;
  readonly crowded: number;
  readonly useless: number;
}

interface Neighbour {
  readonly since: string;
  /** How far this node's own knowledge had grown when it asked last. */
  readonly heard: number;
  /** The `seq` of our own record that it was told. */
  readonly announced: number;
}

const MAX_NEIGHBOURS = 512;
const MAX_BARRED = 1024;
/** One broken record may be an accident. */
const JUNK_RECORDS = 3;
const FIRST_BAR_MS = 600_000;
const LAST_BAR_MS = 86_400_000;

export class Asker {
  readonly #deps: AskerDeps;
  readonly #neighbours = new LruMap<NodeId, Neighbour>(MAX_NEIGHBOURS);
  readonly #barred = new LruMap<NodeId, { readonly until: number; readonly times: number }>(MAX_BARRED);
  #counts: AskerCounts = { asked: 0, refused: 0, bad: 0, crowded: 0, useless: 0 };

  constructor(deps: AskerDeps) {
    this.#deps = deps;
  }

  get counts(): AskerCounts {
    return this.#counts;
  }

  get size(): { readonly neighbours: number; readonly barred: number } {
    return { neighbours: this.#neighbours.size, barred: this.#barred.size };
  }

  /** Whether `id` sent so much junk that it is not asked now. */
  isBarred(id: NodeId): boolean {
    const bar = this.#barred.get(id);
    return bar !== undefined && bar.until > this.#deps.clock.now();
  }

  /**
   * One page of what the other end of `link` knows and this node does not.
   * @throws {Failure} what the other node answered; bad-reply; too-large; link-lost
   */
  async page(link: Link, limit: number, signal: AbortSignal): Promise<Page> {
    const { table, ask } = this.#deps;
    const id = link.peer;
    const heard = table.rows.heardLog.version;
    const { question, announced } = this.#question(id, limit);
    this.#counts = { ...this.#counts, asked: this.#counts.asked + 1 };
    const reply = await this.#judged(id, () => ask(link, question, signal));
    if (reply.records.length > limit + 1) throw this.#refuse(id, `over ${limit} records`);
    const learned = table.learn(reply.records, { kind: "node", id });
    this.#count(id, learned);
    if (reply.yours !== undefined) this.#count(id, table.learn([reply.yours], { kind: "node", id }));
    // While there is more, what was known before still need not be told.
    const told = reply.more ? (this.#neighbours.get(id)?.heard ?? 0) : heard;
    this.#neighbours.set(id, { since: reply.cursor, heard: told, announced });
    return { ...learned, more: reply.more };
  }

  #question(id: NodeId, limit: number): { readonly question: TableQuestion; readonly announced: number } {
    const { self, random } = this.#deps;
    const last = this.#neighbours.get(id);
    const own = self();
    const known = limit === 0 ? this.#knownOf(id) : this.#knownSince(id, last);
    const news = own !== undefined && own.record.seq !== last?.announced && isReachable(own);
    return {
      question: {
        limit,
        ...(last === undefined ? {} : { since: last.since }),
        ...(known.length === 0 ? {} : { known: encodeFilter(known, Math.floor(random.next() * 2 ** 32)) }),
        ...(news ? { record: own.signed } : {}),
      },
      announced: own?.record.seq ?? 0,
    };
  }

  /** What `id` need not tell: all that was heard since it was asked last, and its own record. */
  #knownSince(id: NodeId, last: Neighbour | undefined): number[] {
    const known = this.#knownOf(id);
    for (const row of this.#deps.table.rows.heardLog.changedAfter(last?.heard ?? 0)) known.push(row.mark);
    return known;
  }

  #knownOf(id: NodeId): number[] {
    const peer = this.#deps.table.get(id);
    return peer?.record === undefined ? [] : [peer.mark];
  }

  async #judged(id: NodeId, ask: () => Promise<TableReply>): Promise<TableReply> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof Failure && (error.code === "too-large" || error.code === "bad-reply")) this.#bar(id);
      throw error;
    }
  }

  #count(id: NodeId, { bad, crowded, useless }: Learned): void {
    const counts = this.#counts;
    this.#counts = {
      ...counts,
      bad: counts.bad + bad,
      crowded: counts.crowded + crowded,
      useless: counts.useless + useless,
    };
    if (bad >= JUNK_RECORDS) this.#bar(id);
  }

  #refuse(id: NodeId, what: string): Failure {
    this.#bar(id);
    return new Failure("bad-reply", `the answer holds ${what}`);
  }

  /** Ten minutes, doubled each time, up to a day. */
  #bar(id: NodeId): void {
    const times = (this.#barred.get(id)?.times ?? 0) + 1;
    const barMs = Math.min(LAST_BAR_MS, FIRST_BAR_MS * 2 ** (times - 1));
    this.#barred.set(id, { until: this.#deps.clock.now() + barMs, times });
    this.#counts = { ...this.#counts, refused: this.#counts.refused + 1 };
  }
}

/** A node that nobody can dial has nothing to announce. */
function isReachable({ record }: VersionedRecord): boolean {
  return (record.port > 0 && record.addresses.length > 0) || record.via.length > 0;
}
