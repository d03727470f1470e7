/** The end of a long answer, with each step of its progress on the way. */

import type { Step } from "../client/index.ts";

export async function lastOf<P, R>(steps: AsyncIterable<Step<P, R>>, onProgress: (progress: P) => void): Promise<R> {
  for await (const step of steps) {
    if ("result" in step) return step.result;
    onProgress(step.progress);
  }
  throw new Error("the steps ended without a result"); // `askSteps` sees to it that they do not
}
