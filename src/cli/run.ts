/** Runs a program of the system and keeps what it says. */

import { execFile } from "node:child_process";
import type { Ran } from "./machine.ts";

/** Those we use (systemctl, loginctl, launchctl) answer at once, or hang for want of a bus. */
const TIMEOUT_MS = 10_000;
/** What shells say of a command that is not there. */
const NOT_FOUND = 127;

export function runProgram(command: string, args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(command, [...args], { timeout: TIMEOUT_MS, encoding: "utf8" }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : NOT_FOUND;
      resolve({ code, stdout, stderr });
    });
  });
}
