/**
 * The answer to a call that takes long: lines of JSON, `{"progress":…}` as it goes and at last
 * `{"result":…}` or `{"error":{code,message,hint}}`.
 *
 * The work ends when the reader leaves. A reader that does not read misses progress, never the end.
 * Send it with `PROGRESS_TYPE` as its content type.
 */

import { Readable } from "node:stream";
import { Failure } from "./errors.ts";

export const PROGRESS_TYPE = "application/x-ndjson";

export interface FailureReply {
  readonly error: { readonly code: string; readonly message: string; readonly hint?: string };
}

export interface ProgressOptions {
  /** Told of an error that is no Failure: a defect, which the reader only hears of. */
  readonly onDefect: (error: unknown) => void;
}

export function progressLines<P, R>(
  work: (note: (progress: P) => void, signal: AbortSignal) => Promise<R>,
  { onDefect }: ProgressOptions,
): Readable {
  const gone = new AbortController();
  const lines = new Readable({
    read: () => {},
    destroy: (error, done) => {
      gone.abort();
      done(error);
    },
  });
  const note = (progress: P) => {
    if (lines.readableLength < lines.readableHighWaterMark) lines.push(line({ progress }));
  };
  const finish = (last: object) => {
    if (gone.signal.aborted) return;
    lines.push(line(last));
    lines.push(null);
  };
  // Begun in a later turn, so that whoever reads is there before the first line.
  setImmediate(() => {
    work(note, gone.signal).then(
      (result) => finish({ result }),
      (error: unknown) => {
        if (gone.signal.aborted) return; // the reader left: nobody is there to tell
        if (!(error instanceof Failure)) onDefect(error);
        finish(failureReply(error));
      },
    );
  });
  return lines;
}

/** What the other side of an API is told of an error. A defect keeps its words to itself. */
export function failureReply(error: unknown): FailureReply {
  if (!(error instanceof Failure)) {
    return {
      error: {
        code: "defect",
        message: "something in P2PRC itself went wrong",
        hint: "`p2prc logs` says more; please report it",
      },
    };
  }
  const { code, message, hint } = error;
  return { error: { code, message, ...(hint === undefined ? {} : { hint }) } };
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
