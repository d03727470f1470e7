/** job's door for the command line, which runs jobs in its own process. No schema library is loaded here. */
export { findInputs } from "./inputs.ts";
export { createJob, holdJob, listJobs, openJob, removeJob } from "./job-folder.ts";
export { leftOver } from "./left-over.ts";
export { checkPlan } from "./plan.ts";
export { runJob } from "./run-job.ts";
export { workerCommand } from "./worker-source.ts";
