/** How a worker is started in a sandbox. */

import { insideProgram } from "../core/light.ts";

export async function workerCommand(): Promise<readonly string[]> {
  return await insideProgram(new URL("./inside/worker", import.meta.url));
}
