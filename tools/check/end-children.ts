/** Ends what a test file that was broken off has left: its process may hold off SIGTERM. */

import { readdir, readFile } from "node:fs/promises";
import { pid } from "node:process";

/** Children of this process whose last argument is `file`. Linux only; elsewhere nobody is found. */
export async function endChildren(file: string): Promise<void> {
  const entries = await readdir("/proc").catch(() => []);
  for (const child of entries.filter((name) => /^\d+$/.test(name)).map(Number)) {
    if ((await parentOf(child)) !== pid || (await lastArgumentOf(child)) !== file) continue;
    try {
      process.kill(child, "SIGKILL");
    } catch {
      // it has just ended
    }
  }
}

async function parentOf(child: number): Promise<number | undefined> {
  const status = await readFile(`/proc/${child}/status`, "utf8").catch(() => "");
  const parent = /^PPid:\s+(\d+)$/m.exec(status)?.[1];
  return parent === undefined ? undefined : Number(parent);
}

async function lastArgumentOf(child: number): Promise<string | undefined> {
  const line = await readFile(`/proc/${child}/cmdline`, "utf8").catch(() => "");
  return line.split("\0").at(-2);
}
