/** job: one command over many inputs, in many sandboxes; all of it runs in the process of who asks for it (`light.ts`). */
export type { Asked, Job, JobRow, Where } from "./job-folder.ts";
export type { JobSpec } from "./plan.ts";
export type { JobBox, Run, RunJobDeps } from "./run-job.ts";
export type { BoxTally, Tally, TaskFailure } from "./tally.ts";
