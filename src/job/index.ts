/** job: one command over many inputs, in many sandboxes. All of it runs in the process of who asks for it (`light.ts`); here are its types. */
export type { Channel } from "./box-worker.ts";
export type { Job, JobRow, Where } from "./job-folder.ts";
export type { LeftOver } from "./left-over.ts";
export type { JobSpec } from "./plan.ts";
export type { JobBox } from "./run-job.ts";
export type { BoxTally, Tally, TaskFailure } from "./tally.ts";
