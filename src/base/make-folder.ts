/** Makes a folder for its user alone, with those above it. */

import { mkdir } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * What is there already stays as it is, whatever it is. Node's own `recursive` never returns where the system takes no
 * folders, as below /proc.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { mode: 0o700 });
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EEXIST") return;
    if (code !== "ENOENT" || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path, { mode: 0o700 });
  }
}
