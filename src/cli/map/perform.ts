/** Runs a job, with this terminal around it: how it goes, Ctrl-C once and twice, and what came of it. */

import { join } from "node:path";
import type { Client } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import type { Job, LeftOver, Tally } from "../../job/index.ts";
import { holdJob, leftOver, runJob, workerCommand } from "../../job/light.ts";
import { sandboxCount } from "../boxes.ts";
import { plural } from "../format.ts";
import { type Io, printJson } from "../io.ts";
import { openChannel } from "./channel.ts";
import { hasOwn, type JobBoxes, openBoxes, removeOwn } from "./job-boxes.ts";
import { formatFailure, formatOutcome, formatProgress, formatSummary } from "./show.ts";

interface Place {
  readonly home: string;
  readonly json: boolean;
}

interface Performance {
  readonly job: Job;
  readonly left: LeftOver;
  readonly open: JobBoxes;
  readonly client: Client;
}

/** Some tasks failed. */
const FAILED_EXIT = 1;
const INTERRUPTED_EXIT = 130;
/** More failures scroll away what they say. */
const MAX_TOLD = 10;

/** @throws {Failure} */
export async function performJob(job: Job, { home, json }: Place, io: Io): Promise<number> {
  await using _held = await holdJob(job);
  const left = await leftOver(job, io.signal);
  if (left.changed.length > 0)
    io.err(`${plural(left.changed.length, "input")} changed since the task was done: it is done again`, "warn");
  const began = io.clock.now();
  if (left.todo.length === 0 && !hasOwn(job)) return nothingLeft(job, json, io);
  await using client = await io.open({ home });
  await removeOwn(client, job, io);
  if (left.todo.length === 0) return nothingLeft(job, json, io);
  await using open = await openBoxes(client, job, io);
  io.err(`job ${job.id}: ${plural(left.todo.length, "task")}, ${sandboxCount(open.boxes.length)}`, "dim");
  const tally = await ran({ job, left, open, client }, io);
  const tookMs = io.clock.now() - began;
  return conclude({ job, tally, tookMs, json }, io);
}

/** @returns what came of it, also where it was interrupted @throws {Failure} it cannot go on */
async function ran({ job, left, open, client }: Performance, io: Io): Promise<Tally> {
  using stop = stopping(io);
  const ids = new Map(open.boxes.map(({ name, id }) => [name, id]));
  const argv = await workerCommand();
  let told = 0;
  let latest: Tally | undefined;
  const deps = {
    clock: io.clock,
    start: (box: string, signal: AbortSignal) =>
      openChannel({ client, clock: io.clock }, { box: ids.get(box) ?? box, argv }, signal),
    onProgress: (tally: Tally) => {
      latest = tally;
      io.progress(formatProgress(tally, io.clock.now(), io.columns));
    },
    onFailed: (failure: Parameters<typeof formatFailure>[0]) => {
      if (told++ < MAX_TOLD) io.err(formatFailure(failure), "bad");
    },
    onBoxNews: (box: string, news: string) => io.err(`${box}: ${news}`, "warn"),
  };
  try {
    return await runJob(deps, { job, boxes: open.boxes, left, draining: io.signal }, stop.signal);
  } catch (error) {
    if (latest !== undefined && stop.signal.aborted) return latest;
    if (!(error instanceof Failure)) throw error;
    const hints = [error.hint, `go on with \`p2prc map --resume ${job.id}\``].filter((hint) => hint !== undefined);
    throw new Failure(error.code, error.message, { hint: hints.join("; "), cause: error });
  }
}

/** Ctrl-C once lets what runs come to its end; twice, or any other signal, stops it. */
function stopping(io: Io): Disposable & { readonly signal: AbortSignal } {
  const stop = new AbortController();
  const insisted = io.insisted();
  const first = () => {
    const { message } = io.signal.reason as Error;
    if (message !== "SIGINT") return stop.abort(io.signal.reason);
    io.err("waiting for the tasks that run; Ctrl-C once more stops them", "warn");
  };
  const second = () => stop.abort(insisted.reason);
  if (io.signal.aborted) first();
  io.signal.addEventListener("abort", first, { once: true });
  insisted.addEventListener("abort", second, { once: true });
  return {
    signal: stop.signal,
    [Symbol.dispose]: () => {
      io.signal.removeEventListener("abort", first);
      insisted.removeEventListener("abort", second);
    },
  };
}

function nothingLeft({ id, inputs }: Job, json: boolean, io: Io): number {
  if (json) printJson(io, { job: id, tasks: inputs.length, done: inputs.length, failed: 0 });
  else io.out(`all ${inputs.length} tasks of ${id} are done already`);
  return 0;
}

function conclude(
  {
    job,
    tally,
    tookMs,
    json,
  }: { readonly job: Job; readonly tally: Tally; readonly tookMs: number; readonly json: boolean },
  io: Io,
): number {
  const { all: tasks, before, doneNow, failedCount: failed, retried, hedged, failures } = tally;
  const done = before + doneNow;
  const text = join(job.folder, "text");
  if (json) {
    const boxes = [...tally.boxes.values()];
    printJson(io, {
      job: job.id,
      tasks,
      done,
      failed,
      retried,
      hedged,
      tookMs: Math.round(tookMs),
      boxes,
      failures,
      text,
    });
  } else {
    for (const line of formatSummary(tally, tookMs)) io.out(line);
    io.out(formatOutcome(tally, tookMs), tally.finished ? "good" : "warn");
    io.out(`what they printed: ${text}`, "dim");
  }
  if (tally.finished) return 0;
  io.err(`what is missing: p2prc map --resume ${job.id}`);
  return io.signal.aborted ? INTERRUPTED_EXIT : FAILED_EXIT;
}
