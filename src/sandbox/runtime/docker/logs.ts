/** The output of a sandbox's command, as the engine kept it: stdout and stderr in the order in which they came. */

import { PassThrough, type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream";
import type { LogsOptions } from "../runtime.ts";
import type { Engine } from "./engine.ts";
import { PieceReader } from "./pieces.ts";

/** @throws {EngineError} */
export async function readLog(
  engine: Engine,
  { container, follow, lines }: LogsOptions & { readonly container: string },
  signal: AbortSignal,
): Promise<Readable> {
  const query = { stdout: true, stderr: true, follow, tail: String(lines) };
  const answer = await engine.stream({ method: "GET", path: `/containers/${container}/logs`, query }, signal);
  const pieces = new PieceReader();
  const content = new Transform({
    transform(bytes: Buffer, _encoding, done) {
      for (const piece of pieces.take(bytes)) this.push(piece.content);
      done();
    },
  });
  // Whoever reads hears of an error; one who stops reading ends the request.
  return pipeline(answer, content, () => {}) as Readable;
}

/** Of a sandbox without a command, whose container has no log: empty, and followed it ends with the sandbox. */
export function emptyLog(
  engine: Engine,
  { container, follow }: Pick<LogsOptions, "follow"> & { readonly container: string },
  signal: AbortSignal,
): Readable {
  const log = new PassThrough();
  if (!follow) return log.end();
  const read = new AbortController();
  log.once("close", () => read.abort());
  const call = { method: "POST", path: `/containers/${container}/wait` } as const;
  const ended = engine.ask(call, AbortSignal.any([signal, read.signal]));
  const end = () => void log.end();
  ended.then(end, end); // also where nobody reads any more, or the engine has gone
  return log;
}
