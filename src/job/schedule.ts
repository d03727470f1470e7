/**
 * Who does what next: sandboxes pull when they are free, so that fast ones do more.
 *
 * A task that failed, or whose sandbox was lost, is tried again elsewhere. Beside what its slots do, a sandbox is given some tasks
 * ahead while there are many, so that no slot waits for the way there and back; at the end who is free takes over what was only
 * given ahead, and then repeats (hedges) what takes far longer than the others did. The first result of a task is its result.
 *
 * Nothing is done here: it is told what happened, and time is told with it.
 */

import { type Box, type HedgeNews, longRunning, type Live, stolenFrom } from "./stragglers.ts";

export interface Attempt {
  readonly n: number;
  readonly box: string;
  /** Of all attempts in this run: its name in the sandbox. */
  readonly id: number;
  /** Nobody wants it any more: another was first, or the job stops. */
  readonly signal: AbortSignal;
}

export interface ScheduleOptions {
  /** The tasks that are to be done. */
  readonly todo: Iterable<number>;
  readonly count: number;
  readonly retries: number;
  /** The boxes that may become free; each does nothing until it is `present`. */
  readonly boxes: readonly string[];
  /** So many tasks are given ahead for each slot at most, where they are short. @default 1 */
  readonly maxAhead?: number;
}

export type Settled =
  | { readonly kind: "open" }
  /** It is over, and was not done. */
  | { readonly kind: "failed" };

/** Whose sandbox goes down each time is likely to be the cause of it. */
const MAX_LOSSES = 3;

export class Schedule implements HedgeNews {
  readonly #todo: Iterator<number>;
  readonly #retries: number;
  readonly #maxAhead: number;
  readonly #boxes = new Map<string, Box>();
  readonly #live = new Map<number, Live>();
  readonly #aborts = new Map<Attempt, AbortController>();
  /** To be tried again, in this order. */
  #again: number[] = [];
  #left: number;
  #ids = 0;
  #draining = false;
  #changed = Promise.withResolvers<void>();
  /** How long the last ones took. */
  readonly tookMs: number[] = [];
  #tookSum = 0;
  retried = 0;
  hedged = 0;

  constructor({ todo, count, retries, boxes, maxAhead = 1 }: ScheduleOptions) {
    this.#todo = todo[Symbol.iterator]();
    this.#left = count;
    this.#retries = retries;
    this.#maxAhead = maxAhead;
    for (const name of boxes) this.#boxes.set(name, { name, slots: 0, attempts: [], filling: false });
  }

  /** Nothing is running, and nothing more will be started. */
  get over(): boolean {
    return this.#aborts.size === 0 && (this.#draining || this.#waiting === 0);
  }

  /** Tasks that nobody works on. */
  get #waiting(): number {
    return this.#left + this.#again.length;
  }

  /** Resolves when there may be something to take, or it is over. */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  /** Time has passed, or something else has come about. */
  nudge(): void {
    const before = this.#changed;
    this.#changed = Promise.withResolvers();
    before.resolve();
  }

  /** A box can be given tasks; with 0 it cannot any more. */
  present(name: string, slots: number): void {
    const box = this.#boxes.get(name);
    if (box === undefined) throw new RangeError(`no box ${name}`);
    box.slots = slots;
    this.nudge();
  }

  /** What a box should do now, beside what it does already. */
  take(name: string, now: number): Attempt | undefined {
    const box = this.#boxes.get(name);
    if (box === undefined || this.#draining) return undefined;
    const free = box.attempts.length < box.slots;
    if (!free && !this.#givesAhead(box)) return undefined;
    const n = this.#pick(name);
    if (n !== undefined) return this.#begin(n, box, now);
    return free ? this.#help(box, now) : undefined;
  }

  started(attempt: Attempt, now: number): void {
    const own = this.#boxes.get(attempt.box)?.attempts.find(({ id }) => id === attempt.id);
    if (own !== undefined) own.startedAt = now;
  }

  /** Whether this is the result of its task. The others that try are called off. */
  claim(attempt: Attempt): boolean {
    const live = this.#live.get(attempt.n);
    if (live === undefined || live.claimed) return false;
    live.claimed = true;
    for (const other of live.attempts) if (other !== attempt) this.#abort(other);
    return true;
  }

  /** The result that was claimed is in its place. */
  done(attempt: Attempt, ms: number): void {
    this.#live.delete(attempt.n);
    this.#remember(ms);
    this.#leave(attempt);
  }

  /** @param forGood trying again would change nothing */
  failed(attempt: Attempt, { forGood }: { readonly forGood: boolean }): Settled {
    return this.#ended(attempt, true, (live) => {
      live.failedOn.add(attempt.box);
      live.failures++;
      return forGood || live.failures > this.#retries;
    });
  }

  /** Its box went away under it. @param started whether it may have been the cause */
  lost(attempt: Attempt, { started }: { readonly started: boolean }): Settled {
    return this.#ended(attempt, started, (live) => ++live.losses >= MAX_LOSSES);
  }

  /** It was called off. Where nobody else has its task, that is as it was before. */
  calledOff(attempt: Attempt): void {
    this.#ended(attempt, true, () => false);
  }

  /** Starts nothing more; what was given ahead is called off. */
  drain(): void {
    this.#draining = true;
    for (const { attempts } of this.#boxes.values())
      for (const attempt of attempts) if (attempt.startedAt === undefined) this.#abort(attempt);
    this.nudge();
  }

  /** @param tried whether it was more than given ahead */
  #ended(attempt: Attempt, tried: boolean, isOver: (live: Live) => boolean): Settled {
    const live = this.#live.get(attempt.n);
    const mine = live?.attempts.delete(attempt) === true; // else somebody took it over
    let over = false;
    if (live !== undefined && mine && !live.claimed) {
      const counts = tried && !attempt.signal.aborted;
      const hopeless = counts && isOver(live);
      over = hopeless && live.attempts.size === 0; // else another may still do it
      if (over) this.#live.delete(attempt.n);
      else if (live.attempts.size === 0) this.#putBack(attempt.n, counts);
    }
    this.#leave(attempt);
    return { kind: over ? "failed" : "open" };
  }

  /** One that was only called off, or that had not begun, was not tried: it is as if it had never been taken. */
  #putBack(n: number, tried: boolean): void {
    if (tried) {
      this.retried++;
      this.#again.push(n);
    } else this.#again.unshift(n);
  }

  /** Short tasks are given many at a time: on their way, what goes together costs as much as one. */
  #givesAhead(box: Box): boolean {
    const ahead = Math.max(1, Math.min(this.#maxAhead, Math.floor(AHEAD_MS / this.#meanMs)));
    const full = (1 + ahead) * box.slots;
    const few = ahead === 1 ? full - 1 : Math.floor((1 + ahead / 2) * box.slots);
    const { length } = box.attempts;
    box.filling = length < full && (box.filling || length <= few);
    return box.filling && this.#waiting > ahead * this.#slots();
  }

  /** Of the last tasks. Nothing is known of the first: they may be long. */
  get #meanMs(): number {
    return this.tookMs.length < 10 ? AHEAD_MS : Math.max(1, this.#tookSum / this.tookMs.length);
  }

  #pick(name: string): number | undefined {
    const at = this.#again.findIndex((n) => !this.#betterElsewhere(n, name));
    if (at >= 0) return this.#again.splice(at, 1)[0];
    if (this.#left === 0) return undefined;
    const next = this.#todo.next();
    this.#left = next.done === true ? 0 : this.#left - 1;
    return next.done === true ? undefined : next.value;
  }

  /** Whether it failed here, and there is a box where it did not. */
  #betterElsewhere(n: number, name: string): boolean {
    const failedOn = this.#live.get(n)?.failedOn;
    if (failedOn?.has(name) !== true) return false;
    return [...this.#boxes.values()].some((box) => box.slots > 0 && !failedOn.has(box.name));
  }

  #help(box: Box, now: number): Attempt | undefined {
    const boxes = [...this.#boxes.values()];
    const stolen = stolenFrom(boxes, box, this.#live);
    if (stolen !== undefined) {
      this.#live.get(stolen.n)?.attempts.delete(stolen);
      this.#abort(stolen);
      return this.#begin(stolen.n, box, now);
    }
    const slow = longRunning({ boxes, live: this.#live, news: this }, box, now);
    if (slow === undefined) return undefined;
    this.hedged++;
    return this.#begin(slow.n, box, now);
  }

  #begin(n: number, box: Box, now: number): Attempt {
    const abort = new AbortController();
    const attempt = { n, box: box.name, id: ++this.#ids, signal: abort.signal, takenAt: now, startedAt: undefined };
    this.#aborts.set(attempt, abort);
    box.attempts.push(attempt);
    const live = this.#live.get(n) ?? {
      attempts: new Set(),
      failedOn: new Set(),
      failures: 0,
      losses: 0,
      claimed: false,
    };
    live.attempts.add(attempt);
    this.#live.set(n, live);
    return attempt;
  }

  #leave(attempt: Attempt): void {
    this.#aborts.delete(attempt);
    const attempts = this.#boxes.get(attempt.box)?.attempts;
    const at = attempts?.findIndex(({ id }) => id === attempt.id) ?? -1;
    if (at >= 0) attempts?.splice(at, 1);
    this.nudge();
  }

  #abort(attempt: Attempt): void {
    this.#aborts.get(attempt)?.abort(CALLED_OFF);
  }

  #slots(): number {
    let slots = 0;
    for (const box of this.#boxes.values()) slots += box.slots;
    return slots;
  }

  #remember(ms: number): void {
    this.tookMs.push(ms);
    this.#tookSum += ms;
    if (this.tookMs.length > REMEMBERED) this.#tookSum -= this.tookMs.shift() ?? 0;
  }
}

/** What a slot has ahead: longer than the way there and back. */
const AHEAD_MS = 64;
/** Enough for a median that follows the work. */
const REMEMBERED = 101;
/** One for all: making one with its stack for each of a hundred thousand tasks costs. */
const CALLED_OFF = new DOMException("nobody wants it any more", "AbortError");
