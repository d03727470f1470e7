/** What is still to be done of a job that was begun before: what has no result, or has lost it, or whose input is another by now. */

import { readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { Job } from "./job-folder.ts";
import { type Entry, type FileMark, readJournal } from "./journal.ts";
import { type Task, taskOf } from "./plan.ts";
import { Shipment } from "./shipment.ts";

export interface LeftOver {
  /** Tasks that are to be done. */
  readonly todo: readonly number[];
  /** Tasks whose input changed since they were done. */
  readonly changed: readonly number[];
  /** Whether the end of the journal was cut off. */
  readonly torn: boolean;
}

const LOOKS_AT_ONCE = 64;

export async function leftOver(job: Job, signal: AbortSignal): Promise<LeftOver> {
  const { entries, torn } = await readJournal(join(job.folder, "journal"));
  const all = Array.from(job.inputs, (_, n) => n);
  if (entries.size === 0) return { todo: all, changed: [], torn };
  const todo: number[] = [];
  const changed: number[] = [];
  for (let from = 0; from < all.length; from += LOOKS_AT_ONCE) {
    const some = all.slice(from, from + LOOKS_AT_ONCE);
    const states = await Promise.all(some.map((n) => stateOf(taskOf(job.spec, job.inputs, n), entries.get(n), signal)));
    for (const [at, state] of states.entries()) {
      if (state !== "done") todo.push(from + at);
      if (state === "changed") changed.push(from + at);
    }
  }
  await sweep(job, todo);
  return { todo, changed, torn };
}

async function stateOf(
  task: Task,
  entry: Entry | undefined,
  signal: AbortSignal,
): Promise<"missing" | "changed" | "done"> {
  if (entry?.ok !== true) return "missing";
  for (const [at, path] of task.outs.entries()) if ((await sizeOf(path)) !== entry.outs[at]) return "missing";
  if (task.path === undefined || entry.input === undefined) return "done";
  return (await isSame(task.path, entry.input, signal)) ? "done" : "changed";
}

async function sizeOf(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ size }) => size,
    () => undefined,
  );
}

/** Only one that was touched is read. */
async function isSame(path: string, mark: FileMark, signal: AbortSignal): Promise<boolean> {
  const stats = await stat(path).catch(() => undefined);
  if (stats === undefined || stats.size !== mark.size) return stats === undefined; // its result is there all the same
  if (stats.mtimeMs === mark.mtimeMs) return true;
  return (await Shipment.open(path, signal)).mark.sha256 === mark.sha256;
}

/** Half-written outputs of a run that was killed. */
async function sweep(job: Job, todo: readonly number[]): Promise<void> {
  const folders = new Set(todo.flatMap((n) => taskOf(job.spec, job.inputs, n).outs.map((path) => dirname(path))));
  const mark = partMark(job.id);
  for (const folder of folders) {
    const names = await readdir(folder).catch(() => []); // not made yet
    for (const name of names)
      if (name.startsWith(".") && name.includes(`.${mark}-`) && name.endsWith(".part"))
        await rm(join(folder, name), { force: true });
  }
}

/** By which a job's temporary files are known. */
export function partMark(job: string): string {
  return `p2prc-${job}`;
}
