/** Counts what passes, and lets it pass no faster than is allowed. What is too much breaks the stream. */

import { Transform, type TransformCallback } from "node:stream";
import type { Clock } from "../../base/index.ts";

export interface MeterDeps {
  /** @returns how long the bytes must wait @throws {Failure} with which the stream breaks */
  readonly spend: (bytes: number) => number;
  readonly clock: Clock;
}

export function meter({ spend, clock }: MeterDeps, signal: AbortSignal): Transform {
  const later = async (ms: number, chunk: Buffer, done: TransformCallback) => {
    try {
      await clock.sleep(ms, signal);
    } catch (error) {
      done(error as Error); // the stream ends for another reason, and this one is not heard any more
      return;
    }
    done(null, chunk);
  };
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      let waitMs: number;
      try {
        waitMs = spend(chunk.length);
      } catch (error) {
        done(error as Error);
        return;
      }
      if (waitMs > 0) void later(waitMs, chunk, done);
      else done(null, chunk);
    },
  });
}
