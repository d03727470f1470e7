/**
 * The links that this node keeps: eight neighbours that it chose itself.
 *
 * One is always a friend, where there is one that answers. The others come from different first hops, and as far
 * as there is a choice from different providers, so that whoever tells this node of many nodes still holds few of
 * its links. Two that lasted longest are anchors: after a restart they are chosen first.
 */

import { type Random, shuffled } from "../base/index.ts";
import { netgroup, type NodeId } from "../core/index.ts";
import { betterThan, type Link, type Reach } from "../network/index.ts";
import type { NodeTable } from "./node-table.ts";
import type { Row } from "./row.ts";
import type { Visitor } from "./visitor.ts";

export interface OutboundDeps {
  readonly table: NodeTable;
  readonly visitor: Visitor;
  readonly reach: Pick<Reach, "existing">;
  readonly now: () => number;
  readonly random: Random;
}

export interface OutboundOptions {
  /** @default 8 */
  readonly size?: number;
}

const ANCHORS = 2;
/** Visits for filling places in one go: what stays empty waits for the next. */
const MAX_TRIES = 8;
/** Chosen among so many at random: choosing among all costs more and is no better. */
const SAMPLE = 64;

interface Held {
  readonly link: Link;
  readonly keeping: Disposable;
}

export class Outbound implements Disposable {
  readonly #deps: OutboundDeps;
  readonly #size: number;
  /** Oldest first. */
  readonly #held = new Map<NodeId, Held>();

  constructor(deps: OutboundDeps, options: OutboundOptions = {}) {
    this.#deps = deps;
    this.#size = options.size ?? 8;
  }

  get ids(): readonly NodeId[] {
    return [...this.#held.keys()];
  }

  link(id: NodeId): Link | undefined {
    return this.#held.get(id)?.link;
  }

  /** Fills the free places. */
  async fill(signal: AbortSignal): Promise<void> {
    const tried = new Set<NodeId>(this.dropEnded());
    await this.#fillWithFriend(tried, signal);
    for (let tries = 0; tries < MAX_TRIES && this.#held.size < this.#size; tries++) {
      const row = this.#choose(tried);
      if (row === undefined) break;
      tried.add(row.id);
      await this.#take(row, signal);
    }
    this.#nameAnchors();
  }

  /** Lets go of links that ended, that were left for a better path, and of rows that left. @returns whose links ended by themselves */
  dropEnded(): readonly NodeId[] {
    const lost: NodeId[] = [];
    for (const [id, { link, keeping }] of this.#held) {
      const row = this.#deps.table.get(id);
      if (link.open && row?.state === "verified") {
        this.#takeBetter(id, link);
        continue;
      }
      keeping[Symbol.dispose]();
      this.#held.delete(id);
      if (!link.open) lost.push(id);
    }
    return lost;
  }

  [Symbol.dispose](): void {
    for (const { keeping } of this.#held.values()) keeping[Symbol.dispose]();
    this.#held.clear();
  }

  async #fillWithFriend(tried: Set<NodeId>, signal: AbortSignal): Promise<void> {
    const { table, now, random } = this.#deps;
    const friends = Array.from(table.rows.joined).filter((row) => row.nextTryAt <= now());
    if (friends.some((row) => this.#held.has(row.id))) return;
    for (const row of shuffled(friends, random).slice(0, 2)) {
      tried.add(row.id);
      if (!(await this.#take(row, signal))) continue;
      if (this.#held.size > this.#size)
        this.#letGo(
          shuffled(
            this.ids.filter((id) => id !== row.id),
            random,
          )[0],
        );
      return;
    }
  }

  async #take(row: Row, signal: AbortSignal): Promise<boolean> {
    const visit = await this.#deps.visitor.visit(row.id, {}, signal);
    // One that does not answer questions is no neighbour, though it is there.
    if (visit.kind !== "answered" || row.state !== "verified" || this.#held.has(row.id)) return false;
    this.#held.set(row.id, { link: visit.link, keeping: visit.link.keep() });
    return true;
  }

  /** Links through others are kept only for as long as there is no better one: the relay has others to pass on. */
  #takeBetter(id: NodeId, link: Link): void {
    const best = this.#deps.reach.existing(id);
    if (best === undefined || best === link || !betterThan(best.path.kind, link.path.kind)) return;
    this.#held.get(id)?.keeping[Symbol.dispose]();
    this.#held.set(id, { link: best, keeping: best.keep() }); // in its old place: it lasted as long
  }

  #letGo(id: NodeId | undefined): void {
    if (id === undefined) return;
    this.#held.get(id)?.keeping[Symbol.dispose]();
    this.#held.delete(id);
  }

  /** The one that has least in common with those there are. */
  #choose(tried: ReadonlySet<NodeId>): Row | undefined {
    const { table, now, random } = this.#deps;
    const free = (row: Row) => !this.#held.has(row.id) && !tried.has(row.id) && row.nextTryAt <= now();
    const all = Array.from(table.rows.all()).filter(free);
    const verified = all.filter((row) => row.state === "verified");
    const anchor = verified.find((row) => row.anchor);
    if (anchor !== undefined) return anchor;
    const rivals = this.ids.map((id) => traits(table.get(id)));
    // A place in 64 for each lineage, so that a large one does not hide the small ones.
    const sample = byLineage(shuffled(verified.length > 0 ? verified : all, random)).slice(0, SAMPLE);
    return sample.map((row) => ({ row, shared: shared(traits(row), rivals) })).sort((a, b) => a.shared - b.shared)[0]
      ?.row;
  }

  #nameAnchors(): void {
    const { table } = this.#deps;
    const strangers = this.ids
      .map((id) => table.get(id))
      .filter((row) => row !== undefined && row.relation === undefined);
    const anchors = new Set(strangers.slice(0, ANCHORS));
    if (anchors.size < ANCHORS) return; // those of the last life stay until there are new ones
    for (const row of table.rows.all()) table.setAnchor(row, anchors.has(row));
  }
}

interface Traits {
  readonly root: string;
  readonly provider: string | undefined;
}

function traits(row: Row | undefined): Traits {
  const host = row?.proven?.host ?? row?.record?.addresses[0];
  return { root: row?.root ?? "", provider: host === undefined ? undefined : netgroup(host).provider };
}

/** The lineage weighs more than the provider. */
function shared(own: Traits, rivals: readonly Traits[]): number {
  let count = 0;
  for (const rival of rivals) {
    if (rival.root === own.root) count += 100;
    if (rival.provider !== undefined && rival.provider === own.provider) count += 1;
  }
  return count;
}

/** One of each lineage, then the second of each, and so on. */
function byLineage(rows: readonly Row[]): Row[] {
  const seen = new Map<string, number>();
  const numbered = rows.map((row) => {
    const number = seen.get(row.root) ?? 0;
    seen.set(row.root, number + 1);
    return { row, number };
  });
  return numbered.sort((a, b) => a.number - b.number).map(({ row }) => row);
}
