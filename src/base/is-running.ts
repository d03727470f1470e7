import { readFileSync } from "node:fs";
import { platform } from "node:process";

/**
 * Whether there is a process with this number. Numbers are given out again: another one may have it by now. One that has
 * ended does not run, though nobody took note of it, as in a container without an init.
 */
export function isRunning(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false;
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/** Linux tells; elsewhere whoever adopts a process takes note of its end. */
function isZombie(pid: number): boolean {
  if (platform !== "linux") return false;
  try {
    return /^.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false; // it has gone just now, or is not shown
  }
}
