/** Counts of a running job, and at its end its summary: what each sandbox did, and how long that took. */

import type { JobBox } from "./run-job.ts";
import type { Schedule } from "./schedule.ts";

export interface TaskFailure {
  /** From 0. */
  readonly n: number;
  readonly input: string;
  readonly box: string;
  readonly why: string;
  /** Of stderr. */
  readonly lastWords: readonly string[];
}

export interface BoxTally {
  readonly name: string;
  readonly node: string;
  readonly slots: number;
  done: number;
  /** Attempts that failed, also those that another one made good. */
  failed: number;
  /** How often it was cut off. */
  lost: number;
  /** Of all its tasks together. */
  busyMs: number;
  bytesIn: number;
  bytesOut: number;
}

/** Of failures more are counted, and stand in the journal. */
const MAX_FAILURES = 20;

export class Tally {
  readonly all: number;
  /** Done in an earlier run. */
  readonly before: number;
  readonly startedAt: number;
  readonly boxes: ReadonlyMap<string, BoxTally>;
  readonly failures: TaskFailure[] = [];
  failedCount = 0;
  retried = 0;
  hedged = 0;

  constructor(
    boxes: readonly JobBox[],
    { all, before, startedAt }: { readonly all: number; readonly before: number; readonly startedAt: number },
  ) {
    this.all = all;
    this.before = before;
    this.startedAt = startedAt;
    const none = { done: 0, failed: 0, lost: 0, busyMs: 0, bytesIn: 0, bytesOut: 0 };
    this.boxes = new Map(boxes.map(({ name, node, slots }) => [name, { name, node, slots, ...none }]));
  }

  /** In this run. */
  get doneNow(): number {
    let done = 0;
    for (const box of this.boxes.values()) done += box.done;
    return done;
  }

  /** Whether all of it is done. */
  get finished(): boolean {
    return this.before + this.doneNow === this.all;
  }

  done(box: string, ms: number): void {
    this.#of(box, (row) => {
      row.done++;
      row.busyMs += ms;
    });
  }

  /** One attempt was in vain. */
  stumbled(box: string): void {
    this.#of(box, (row) => row.failed++);
  }

  lost(box: string): void {
    this.#of(box, (row) => row.lost++);
  }

  moved(box: string, { bytesIn = 0, bytesOut = 0 }: { readonly bytesIn?: number; readonly bytesOut?: number }): void {
    this.#of(box, (row) => {
      row.bytesIn += bytesIn;
      row.bytesOut += bytesOut;
    });
  }

  failed(failure: TaskFailure): void {
    this.failedCount++;
    if (this.failures.length < MAX_FAILURES) this.failures.push(failure);
  }

  schedule({ retried, hedged }: Pick<Schedule, "retried" | "hedged">): void {
    this.retried = retried;
    this.hedged = hedged;
  }

  #of(box: string, change: (row: BoxTally) => void): void {
    const row = this.boxes.get(box);
    if (row !== undefined) change(row);
  }
}
