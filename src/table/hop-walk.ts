/**
 * `--us`: walks the network hop by hop, hundreds of nodes at once.
 *
 * Everybody in the table is visited, then everybody they told of, and so on. The walk ends when all that
 * answer have: a node that is silent for longer than others took gives its turn away and is listed as trying,
 * while its visit goes on in the background.
 */

import { type Clock, Scope } from "../base/index.ts";
import { Failure, type NodeId, shownName } from "../core/index.ts";
import { DEFAULT_HOPS, MAX_HOPS, type UpdateProgress, type UpdateResult } from "./contract.ts";
import type { NodeTable } from "./node-table.ts";
import { Patience } from "./patience.ts";
import type { Row } from "./row.ts";
import type { Visit, Visitor } from "./visitor.ts";

export interface HopWalkDeps {
  readonly table: NodeTable;
  readonly visitor: Visitor;
  readonly clock: Clock;
}

export interface HopWalkOptions {
  /** Nodes visited at once. @default 256 */
  readonly concurrency?: number;
}

export interface WalkRequest {
  /** @default 3 */
  readonly hops?: number;
  readonly note: (progress: UpdateProgress) => void;
}

/** A node's whole table of 8192 rows at 250 a page, and some. */
const MAX_PAGES = 40;
const TICK_MS = 20;
const PROGRESS_MS = 100;

/** Visits that are still going on when a walk ends are ended with this. */
export class HopWalks implements AsyncDisposable {
  readonly #deps: HopWalkDeps;
  readonly #concurrency: number;
  readonly #scope = new Scope();

  constructor(deps: HopWalkDeps, options: HopWalkOptions = {}) {
    this.#deps = deps;
    this.#concurrency = options.concurrency ?? 256;
  }

  /** @throws {Failure} bad-argument */
  async walk({ hops = DEFAULT_HOPS, note }: WalkRequest, signal: AbortSignal): Promise<UpdateResult> {
    if (!Number.isInteger(hops) || hops < 1 || hops > MAX_HOPS) {
      throw new Failure("bad-argument", `not a number of hops: ${hops}`, {
        hint: `give a whole number from 1 to ${MAX_HOPS}`,
      });
    }
    signal.throwIfAborted();
    const spawn = (task: (ending: AbortSignal) => Promise<void>) => this.#scope.spawn(task);
    const walk = new Walk(this.#deps, { hops, note, concurrency: this.#concurrency, spawn });
    return await walk.run(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
  }
}

interface WalkPlan extends Required<WalkRequest> {
  readonly concurrency: number;
  readonly spawn: (task: (ending: AbortSignal) => Promise<void>) => void;
}

interface Try {
  readonly id: NodeId;
  readonly hop: number;
  readonly startedAt: number;
  /** Gave its turn away. */
  late: boolean;
}

class Walk {
  readonly #deps: HopWalkDeps;
  readonly #plan: WalkPlan;
  readonly #patience = new Patience();
  readonly #queue: { readonly id: NodeId; readonly hop: number }[] = [];
  readonly #seen = new Set<NodeId>();
  readonly #open = new Set<Try>();
  readonly #counts = { hop: 1, asked: 0, answered: 0, failed: 0, found: 0, beyond: 0, furthest: 0 };
  #active = 0;
  #ended = false;
  #notedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: HopWalkDeps, plan: WalkPlan) {
    this.#deps = deps;
    this.#plan = plan;
  }

  async run(signal: AbortSignal): Promise<UpdateResult> {
    const { table, clock } = this.#deps;
    const startedAt = clock.now();
    this.#enqueue(
      Array.from(table.rows.all())
        .sort(byPromise)
        .map((row) => row.id),
      1,
    );
    this.#start();
    this.#tell(true);
    try {
      while (this.#active + this.#queue.length > 0) {
        await clock.sleep(TICK_MS, signal);
        this.#letGo();
        this.#start();
        this.#tell();
      }
    } finally {
      this.#ended = true;
    }
    this.#tell(true);
    const { asked, answered, failed, found, beyond, furthest } = this.#counts;
    const trying = Array.from(this.#open, ({ id }) => ({ id, name: this.#nameOf(id) }));
    return {
      asked,
      answered,
      failed,
      found,
      hops: furthest,
      tookMs: Math.round(clock.now() - startedAt),
      trying,
      beyond,
    };
  }

  #enqueue(ids: readonly NodeId[], hop: number): void {
    for (const id of ids) {
      if (this.#seen.has(id)) continue;
      this.#seen.add(id);
      if (hop > 1) this.#counts.found++;
      if (hop <= this.#plan.hops) this.#queue.push({ id, hop });
      else this.#counts.beyond++;
    }
  }

  /** Late ones hold no turn, but so many sockets at once are enough. */
  #start(): void {
    const { concurrency, spawn } = this.#plan;
    while (this.#active < concurrency && this.#open.size < 2 * concurrency) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      const attempt: Try = { ...next, startedAt: this.#deps.clock.now(), late: false };
      this.#open.add(attempt);
      this.#active++;
      this.#counts.asked++;
      if (next.hop > this.#counts.hop) {
        this.#counts.hop = next.hop;
        this.#tell(true);
      }
      spawn((ending) => this.#visit(attempt, ending));
    }
  }

  async #visit(attempt: Try, signal: AbortSignal): Promise<void> {
    const { visitor } = this.#deps;
    // Its own signal: hundreds of visits with several listeners each on one signal look through all of them for each.
    await using own = new Scope(signal);
    const linked = visitor.isLinked(attempt.id);
    const onFound = (ids: readonly NodeId[]) => {
      if (!this.#ended) this.#enqueue(ids, attempt.hop + 1);
    };
    try {
      const visit = await visitor.visit(attempt.id, { maxPages: MAX_PAGES, onFound }, own.signal);
      // How quickly a link answers that is there already says nothing of how long dialling takes.
      if (!linked && isAnswer(visit)) this.#patience.note(attempt.startedAt, this.#deps.clock.now());
      this.#note(attempt, visit);
    } finally {
      this.#open.delete(attempt);
      if (!attempt.late) this.#active--;
      if (!this.#ended) this.#start();
    }
  }

  #note(attempt: Try, visit: Visit): void {
    const counts = this.#counts;
    if (isAnswer(visit)) {
      counts.answered++;
      counts.furthest = Math.max(counts.furthest, attempt.hop);
    } else if (visit.kind === "failed") {
      counts.failed++;
    } else {
      counts.asked--;
    }
  }

  /** Whoever is silent for too long gives its turn to the next. */
  #letGo(): void {
    const now = this.#deps.clock.now();
    for (const attempt of this.#open) {
      if (attempt.late || now - attempt.startedAt <= this.#patience.limitMs(attempt.startedAt)) continue;
      attempt.late = true;
      this.#active--;
    }
  }

  #tell(always = false): void {
    const now = this.#deps.clock.now();
    if (!always && now - this.#notedAt < PROGRESS_MS) return;
    this.#notedAt = now;
    const { hop, asked, answered, failed, found } = this.#counts;
    this.#plan.note({ hop, asked, answered, failed, waiting: this.#open.size, found });
  }

  #nameOf(id: NodeId): string {
    const row = this.#deps.table.get(id);
    return shownName({ id, name: row?.name, claimedName: row?.record?.name });
  }
}

function isAnswer({ kind }: Visit): boolean {
  return kind === "answered" || kind === "mute";
}

/** Those first that will answer and know much, and those last that may not. */
function byPromise(a: Row, b: Row): number {
  return promise(b) - promise(a);
}

function promise(row: Row): number {
  const state = { verified: 2, heard: 1, suspect: 0 }[row.state];
  return state + (row.relation === undefined ? 0 : 4);
}
