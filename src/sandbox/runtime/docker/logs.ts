/** The output of a sandbox's command, as the engine kept it: stdout and stderr in the order in which they came. */

import { type Readable, Transform } from "node:stream";
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
