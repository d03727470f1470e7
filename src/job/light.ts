/** job's door for the command line, which runs jobs in its own process: one command over many inputs, in many sandboxes. */
export type { Channel } from "./box-worker.ts";
export { findInputs } from "./inputs.ts";
export {
  type Asked,
  createJob,
  holdJob,
  type Job,
  type JobRow,
  listJobs,
  openJob,
  removeJob,
  type Where,
} from "./job-folder.ts";
export { type LeftOver, leftOver } from "./left-over.ts";
export { checkPlan, type JobSpec } from "./plan.ts";
export { type JobBox, runJob } from "./run-job.ts";
export type { BoxTally, Tally, TaskFailure } from "./tally.ts";
export { workerCommand } from "./worker-source.ts";
