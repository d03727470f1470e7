/**
 * Runs the tasks of a job over sandboxes: each has a lane that keeps its worker busy, starts it anew where it was cut off, and
 * gives up where the sandbox is gone.
 */

import { basename, join } from "node:path";
import { type Clock, Scope } from "../base/index.ts";
import { cleanText, Failure } from "../core/light.ts";
import { BoxWorker, type Channel, type Ended } from "./box-worker.ts";
import type { TaskEnd } from "./inside/messages.ts";
import type { Job } from "./job-folder.ts";
import { Journal } from "./journal.ts";
import { type LeftOver, partMark } from "./left-over.ts";
import { argvOf, farName, type Task, taskOf } from "./plan.ts";
import { BadDelivery, Receipt } from "./receipt.ts";
import { type Attempt, Schedule } from "./schedule.ts";
import { BadInput, Shipment } from "./shipment.ts";
import { Tally, type TaskFailure } from "./tally.ts";

/** A sandbox, as far as it matters here. */
export interface JobBox {
  readonly id: string;
  /** Tells it from the others here. */
  readonly name: string;
  /** For people. */
  readonly node: string;
  readonly slots: number;
  /** Of its disk, for inputs that may be wanted again. */
  readonly keepBytes: number;
}

export interface RunJobDeps {
  readonly clock: Clock;
  /** Starts the worker in a sandbox. @throws {Failure} */
  readonly start: (box: string, signal: AbortSignal) => Promise<Channel>;
  readonly onProgress: (tally: Tally) => void;
  readonly onFailed: (failure: TaskFailure) => void;
  /** Something of a sandbox that a person should know. */
  readonly onBoxNews: (box: string, news: string) => void;
}

export interface Run {
  readonly job: Job;
  readonly boxes: readonly JobBox[];
  readonly left: LeftOver;
  /** Aborts when no more is to be started. */
  readonly draining: AbortSignal;
}

/** Of tasks that are no more than words. */
const MAX_AHEAD = 16;
/** Between two looks at who takes too long, and at the screen. */
const TICK_MS = 250;
/** After so many attempts of which nothing came, a sandbox is given up: about a minute. */
const BACK_OFF_MS = [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000];
/** It is not the sandbox: a machine starts anew, or a network is away. Such a one is asked for ten minutes more. */
const AWAY = new Set(["unreachable", "daemon-not-running"]);
const AWAY_MS = 30_000;
const AWAY_TRIES = 20;
/** At the end, for workers that clear up after an earlier run. */
const LATE_WORKER_MS = 5_000;
/** What a sandbox that is no more is told of. */
const GONE = new Set(["not-found", "not-allowed", "conflict", "not-supported"]);

/**
 * Resolves when every task is done or has failed, or when it was drained.
 * @throws {Failure} disk-full, …: this machine cannot go on; link-lost: no sandbox is left; what was done is kept
 */
export async function runJob(deps: RunJobDeps, run: Run, signal: AbortSignal): Promise<Tally> {
  const { job, boxes, left } = run;
  const tally = new Tally(boxes, {
    all: job.inputs.length,
    before: job.inputs.length - left.todo.length,
    startedAt: deps.clock.now(),
  });
  await using journal = await Journal.open(join(job.folder, "journal"), { clock: deps.clock, torn: left.torn });
  const names = boxes.map(({ name }) => name);
  const { files, outs, retries } = job.spec;
  const maxAhead = files || outs.length > 0 ? 1 : MAX_AHEAD; // inputs that wait take of a sandbox's disk
  const schedule = new Schedule({ todo: left.todo, count: left.todo.length, retries, boxes: names, maxAhead });
  await new JobRun({ ...deps, ...run, tally, journal, schedule }).run(signal);
  journal.check();
  return tally;
}

interface Parts extends RunJobDeps, Run {
  readonly tally: Tally;
  readonly journal: Journal;
  readonly schedule: Schedule;
}

class JobRun {
  readonly #parts: Parts;
  readonly #reasons = new Map<string, string>();
  /** Aborts when there is nothing more to do: nobody waits for a sandbox then. */
  readonly #over = new AbortController();
  #stopping = this.#over.signal;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<void> {
    const { boxes, schedule, draining } = this.#parts;
    const drain = () => schedule.drain();
    if (draining.aborted) drain();
    draining.addEventListener("abort", drain, { once: true });
    const stop = new AbortController(); // a failure of one lane that is of this machine ends all
    const all = AbortSignal.any([signal, stop.signal]);
    this.#stopping = all;
    void this.#whenOver(all).then(() => this.#over.abort());
    const ticking = this.#tick(all).catch((error: unknown) => stop.abort(error));
    const lanes = boxes.map((box) => this.#lane(box, all).catch((error: unknown) => stop.abort(error)));
    await Promise.all(lanes);
    draining.removeEventListener("abort", drain);
    const failure: unknown = stop.signal.aborted ? stop.signal.reason : undefined;
    stop.abort();
    await ticking;
    if (failure !== undefined && !signal.aborted) throw failure instanceof JobStop ? failure.cause : failure;
    signal.throwIfAborted();
    if (!schedule.over) throw this.#nobodyLeft();
  }

  async #tick(signal: AbortSignal): Promise<void> {
    const { clock, schedule, journal, onProgress, tally } = this.#parts;
    while (!signal.aborted) {
      await clock.sleep(TICK_MS, signal).catch(() => undefined); // it is over
      journal.check();
      tally.schedule(schedule);
      onProgress(tally);
      schedule.nudge();
    }
  }

  /** Resolves when the job is over, or the sandbox gone. @throws what ends the whole job */
  async #lane(box: JobBox, signal: AbortSignal): Promise<void> {
    const { schedule, clock, onBoxNews, tally } = this.#parts;
    let tries = 0;
    let told: string | undefined;
    while (!signal.aborted && !schedule.over) {
      const before = tally.boxes.get(box.name)?.done;
      const why = await this.#connected(box, signal);
      if (why === undefined || signal.aborted || schedule.over) return;
      const words = cleanText(why.message, 200);
      this.#reasons.set(box.name, words);
      if (tally.boxes.get(box.name)?.done !== before) [tries, told] = [0, undefined];
      const wait = pauseMs(why, tries++);
      if (wait === undefined) return onBoxNews(box.name, `given up: ${words}`);
      if (told !== why.code) onBoxNews(box.name, words);
      told = why.code;
      await clock.sleep(wait, AbortSignal.any([signal, this.#over.signal])).catch(() => undefined); // it is over
    }
  }

  /** @returns why the worker went away; undefined where the job is over */
  async #connected(box: JobBox, signal: AbortSignal): Promise<Failure | undefined> {
    const { clock, start, job, schedule } = this.#parts;
    const { name, slots, keepBytes } = box;
    const running = new Set<Promise<void>>();
    let joined = false;
    await using scope = new Scope(signal);
    try {
      const deps = {
        clock,
        start: (opening: AbortSignal) => start(name, opening),
        onSent: (bytesIn: number) => this.#parts.tally.moved(name, { bytesIn }),
      };
      const opening = AbortSignal.any([scope.signal, this.#over.signal]);
      const worker = scope.own(await BoxWorker.open(deps, { job: job.id, slots, keepBytes }, opening));
      joined = true;
      schedule.present(name, slots);
      await this.#feed(worker, { box, running }, scope.signal);
      if (this.#parts.tally.finished) await worker.clear();
      return undefined;
    } catch (error) {
      if (signal.aborted || schedule.over) return undefined;
      if (!(error instanceof Failure)) throw error;
      if (joined) this.#parts.tally.lost(name);
      return error;
    } finally {
      schedule.present(name, 0);
      await scope.close();
      await Promise.all(running);
    }
  }

  /** Resolves when the job is over. @throws why the worker is gone */
  async #feed(
    worker: BoxWorker,
    { box, running }: { readonly box: JobBox; readonly running: Set<Promise<void>> },
    signal: AbortSignal,
  ): Promise<void> {
    const { schedule, clock } = this.#parts;
    let broken: { readonly why: unknown } | undefined;
    // Told by a nudge: a race with what lasts as long as the job would hold on to something of each task.
    const breakOff = (why: unknown) => {
      broken ??= { why };
      schedule.nudge();
    };
    worker.gone.catch(breakOff);
    signal.addEventListener("abort", () => breakOff(signal.reason), { once: true });
    while (!schedule.over) {
      signal.throwIfAborted();
      if (broken !== undefined) throw broken.why;
      const changed = schedule.changed();
      for (
        let attempt = schedule.take(box.name, clock.now());
        attempt !== undefined;
        attempt = schedule.take(box.name, clock.now())
      ) {
        const work: Promise<void> = this.#attempt(attempt, worker, box)
          .catch((error: unknown) => breakOff(error instanceof Failure ? new JobStop("", { cause: error }) : error))
          .finally(() => running.delete(work));
        running.add(work);
      }
      await changed;
    }
  }

  /** Whatever comes of it is told. @throws {Failure} what ends the whole job */
  async #attempt(attempt: Attempt, worker: BoxWorker, box: JobBox): Promise<void> {
    const { job, schedule, clock, tally } = this.#parts;
    const task = taskOf(job.spec, job.inputs, attempt.n);
    const mark = `${partMark(job.id)}-${attempt.id}`;
    const text = join(job.folder, "text", String(Math.floor(attempt.n / TEXTS_A_FOLDER)), String(attempt.n + 1));
    const receipt = new Receipt({ outs: task.outs, mark, text, maxBytes: job.spec.maxBytes });
    let started = false;
    const onStarted = () => {
      started = true;
      schedule.started(attempt, clock.now());
    };
    try {
      const input = task.path === undefined ? undefined : await Shipment.open(task.path, attempt.signal);
      const ended = await worker.run(this.#wish({ attempt, task, input, receipt, onStarted }), attempt.signal);
      await this.#settle({ attempt, task, input, receipt, ended });
    } catch (error) {
      await this.#broke({ attempt, task, receipt, started }, error);
    } finally {
      tally.moved(box.name, { bytesOut: receipt.bytes });
      await receipt.discard();
    }
  }

  #wish({ attempt, task, input, receipt, onStarted }: Trying & { readonly onStarted: () => void }) {
    const { spec } = this.#parts.job;
    return {
      id: attempt.id,
      argv: (folder: string) => argvOf(spec, task, folder),
      cwd: spec.workdir,
      timeoutMs: spec.timeoutMs,
      input: input === undefined ? undefined : { name: basename(task.path ?? ""), shipment: input },
      outs: task.outs.map(farName),
      receipt,
      onStarted,
    };
  }

  async #settle({ attempt, task, input, receipt, ended }: Trying & { readonly ended: Ended }): Promise<void> {
    const { schedule, journal, tally } = this.#parts;
    const { end, ms } = ended;
    if (end.kind === "cancelled") return schedule.calledOff(attempt);
    const why =
      end.kind === "exited" && end.code === 0 && receipt.complete ? undefined : describe(end, this.#parts.job);
    if (why !== undefined) return await this.#failed({ attempt, task, receipt }, why);
    if (!schedule.claim(attempt)) return schedule.calledOff(attempt);
    await receipt.commit();
    journal.add({ n: task.n, ok: true, box: attempt.box, ms: Math.round(ms), input: input?.mark, outs: receipt.sizes });
    tally.done(attempt.box, ms);
    schedule.done(attempt, ms);
  }

  async #failed({ attempt, task, receipt }: Trying, why: string, forGood = false): Promise<void> {
    const { schedule, journal, tally, onFailed } = this.#parts;
    await receipt.keepText();
    tally.stumbled(attempt.box);
    if (schedule.failed(attempt, { forGood }).kind !== "failed") return;
    journal.add({ n: task.n, ok: false, why });
    const failure = { n: task.n, input: task.input, box: attempt.box, why, lastWords: receipt.lastWords };
    tally.failed(failure);
    onFailed(failure);
  }

  async #broke(
    { attempt, task, receipt, started }: Trying & { readonly started: boolean },
    error: unknown,
  ): Promise<void> {
    const { schedule, journal, tally, onFailed } = this.#parts;
    if (attempt.signal.aborted || this.#stopping.aborted) return schedule.calledOff(attempt);
    if (error instanceof BadInput) return await this.#failed({ attempt, task, receipt }, error.message, true);
    if (error instanceof BadDelivery) return await this.#failed({ attempt, task, receipt }, error.message);
    const over = schedule.lost(attempt, { started }).kind === "failed";
    if (!isGone(error)) throw error;
    if (!over) return;
    const why = "its sandbox was lost each time while it ran";
    journal.add({ n: task.n, ok: false, why });
    const failure = { n: task.n, input: task.input, box: attempt.box, why, lastWords: receipt.lastWords };
    tally.failed(failure);
    onFailed(failure);
  }

  /** Resolves when nobody need wait for a sandbox any more. */
  async #whenOver(signal: AbortSignal): Promise<void> {
    const { schedule, tally, clock } = this.#parts;
    while (!schedule.over) await schedule.changed();
    // An earlier run may have left inputs where a worker is only now on its way, to be told to clear them.
    if (tally.finished && tally.before > 0) await clock.sleep(LATE_WORKER_MS, signal).catch(() => undefined); // it is over
  }

  #nobodyLeft(): Failure {
    const why = [...this.#reasons].map(([box, words]) => `${box}: ${words}`).join("; ");
    return new Failure("link-lost", `no sandbox is left to work in (${why})`, { hint: "what was done is kept" });
  }
}

/** One attempt, and what belongs to it. */
interface Trying {
  readonly attempt: Attempt;
  readonly task: Task;
  readonly input?: Shipment | undefined;
  readonly receipt: Receipt;
}

/** What a step on this machine failed with: the next task would meet the same. */
class JobStop extends Error {}

/** Until it is asked again. Undefined: it is given up. */
function pauseMs({ code }: Failure, tries: number): number | undefined {
  if (GONE.has(code)) return undefined;
  return BACK_OFF_MS[tries] ?? (AWAY.has(code) && tries < BACK_OFF_MS.length + AWAY_TRIES ? AWAY_MS : undefined);
}

/** Whether the sandbox, or the way to it, is what failed. */
function isGone(error: unknown): boolean {
  return error instanceof Failure && (error.code === "link-lost" || error.code === "bad-reply");
}

/** Folders of a hundred thousand files are slow to look at. */
const TEXTS_A_FOLDER = 1_000;

function describe(end: TaskEnd, { spec }: Job): string {
  switch (end.kind) {
    case "exited":
      return end.code === 0 ? "an output is missing" : `exit code ${end.code}`;
    case "signalled":
      return `ended by ${cleanText(end.signal, 20)}`;
    case "late":
      return `took longer than ${spec.timeoutMs ?? 0} ms`;
    case "refused":
      return cleanText(end.reason, 200);
    case "cancelled":
      return "it was called off";
  }
}
