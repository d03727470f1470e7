/** `p2prc map --list` and `--remove`. */

import { listJobs, removeJob } from "../../job/light.ts";
import { type Column, formatColumns } from "../columns.ts";
import { formatTime } from "../grants.ts";
import { type Io, printJson } from "../io.ts";

interface Place {
  readonly home: string;
  readonly json: boolean;
}

const columns: readonly Column[] = [
  { title: "JOB" },
  { title: "MADE" },
  { title: "TASKS", align: "right" },
  { title: "DONE", align: "right" },
  { title: "FAILED", align: "right" },
  { title: "WHAT" },
];

export async function printJobs({ home, json }: Place, io: Io): Promise<void> {
  const jobs = await listJobs(home);
  if (json) return printJson(io, { jobs });
  if (jobs.length === 0) return io.err("there was no job yet");
  const rows = jobs.map(({ id, made, tasks, done, failed, typed }) => [
    id,
    formatTime(made),
    ...[tasks, done, failed].map(String),
    typed,
  ]);
  for (const line of formatColumns(columns, rows)) io.out(line);
}

/** @throws {Failure} not-found, ambiguous, conflict */
export async function printRemoved(job: string, { home, json }: Place, io: Io): Promise<void> {
  const removed = await removeJob(home, job);
  if (json) printJson(io, { removed });
  else io.out(`removed ${removed}`);
}
