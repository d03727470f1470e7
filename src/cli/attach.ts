/** Runs a program in the place of this one, with this terminal. */

import { spawn } from "node:child_process";
import { constants } from "node:os";

/** @returns its exit code, 128 and the number of the signal that ended it; undefined: there is no such program */
export function attachProgram(
  command: string,
  args: readonly string[],
  signal: AbortSignal,
): Promise<number | undefined> {
  const child = spawn(command, [...args], { stdio: "inherit" });
  // Of Ctrl-C it hears from the terminal too; what was sent to us alone it hears from us.
  const passOn = () => void child.kill(((signal.reason as Error).message || "SIGINT") as NodeJS.Signals);
  signal.addEventListener("abort", passOn, { once: true });
  return new Promise<number | undefined>((resolve, reject) => {
    child.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "ENOENT" ? resolve(undefined) : reject(error),
    );
    child.once("exit", (code, killer) => resolve(code ?? 128 + (killer === null ? 0 : constants.signals[killer])));
  }).finally(() => signal.removeEventListener("abort", passOn));
}
