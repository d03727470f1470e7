/** Runs a program that knows the hardware, with a time limit and a cap on its words, and never through a shell. */

import { execFile } from "node:child_process";

export type ToolOutcome =
  | { readonly kind: "ran"; readonly exit: number; readonly stdout: string; readonly stderr: string }
  | { readonly kind: "missing" }
  | { readonly kind: "cut-off"; readonly why: string };

/** Rejects only when aborted. */
export type RunTool = (program: string, args: readonly string[], signal: AbortSignal) => Promise<ToolOutcome>;

/** A driver in trouble makes `nvidia-smi` hang for minutes; a healthy one that must wake the GPU takes up to 3 s. */
export const TOOL_TIMEOUT_MS = 5_000;
/** 64 GPUs in rocm-smi's JSON take 40 KiB. */
const MAX_OUTPUT_BYTES = 262_144;

/** @param timeoutMs real time: it ends a real process */
export function toolRunner(timeoutMs = TOOL_TIMEOUT_MS): RunTool {
  return (program, args, signal) =>
    new Promise((resolve, reject) => {
      const options = {
        signal,
        timeout: timeoutMs,
        killSignal: "SIGKILL",
        maxBuffer: MAX_OUTPUT_BYTES,
        windowsHide: true,
      } as const;
      const child = execFile(program, args, options, (error, stdout, stderr) => {
        if (signal.aborted) reject(signal.reason as Error);
        else if (error === null) resolve({ kind: "ran", exit: 0, stdout, stderr });
        else if (error.code === "ENOENT" || error.code === "EACCES") resolve({ kind: "missing" });
        else if (typeof error.code === "number") resolve({ kind: "ran", exit: error.code, stdout, stderr });
        else if (error.code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
          resolve({ kind: "cut-off", why: "it said too much" });
        else
          resolve({
            kind: "cut-off",
            why: error.killed === true ? `no answer within ${timeoutMs / 1_000} s` : error.message,
          });
      });
      child.stdin?.end();
    });
}
