/** What an engine says while it pulls, builds or imports: lines of JSON, of which one may be the error that ended it. */

import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { cleanText } from "../../../core/index.ts";
import { EngineError } from "./engine.ts";

export interface ProgressLine {
  readonly id?: string;
  readonly status?: string;
  readonly stream?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
  readonly error?: string;
  readonly errorDetail?: { readonly message?: string };
}

/** Podman says what went wrong in the same way, but with 200 before it. */
const SAID_TOO_LATE = 500;

const brokenOff = () => new EngineError(SAID_TOO_LATE, "it stopped in the middle");

/** Reads to the end. @throws {EngineError} what the engine said went wrong, or that it stopped in the middle */
export async function readProgress(
  answer: Readable,
  note: (line: ProgressLine) => void,
  signal: AbortSignal,
): Promise<void> {
  const onAbort = () => answer.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    for await (const text of createInterface({ input: answer })) {
      if (text.trim() === "") continue;
      const line = JSON.parse(text) as ProgressLine;
      const problem = line.errorDetail?.message ?? line.error;
      if (problem !== undefined) throw new EngineError(SAID_TOO_LATE, cleanText(problem, 500));
      note(line);
    }
    signal.throwIfAborted();
    if (!answer.readableEnded) throw brokenOff();
  } catch (error) {
    signal.throwIfAborted();
    throw error instanceof Error && "code" in error && error.code === "ECONNRESET" ? brokenOff() : error;
  } finally {
    signal.removeEventListener("abort", onAbort);
    answer.destroy();
  }
}
