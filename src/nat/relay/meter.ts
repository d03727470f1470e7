/**
 * Counts what passes, and lets it pass no faster than is allowed. What is too much does not pass; by which limit that is, it
 * says to its owner, who has it written behind what has passed.
 */

import { Transform, type TransformCallback } from "node:stream";
import type { Clock } from "../../base/index.ts";
import { encodeLastWord, type LastWord } from "../../network/index.ts";
import type { Spent } from "./quotas.ts";

export interface MeterDeps {
  readonly spend: (bytes: number) => Spent;
  /** Too much: what came last does not pass, and nothing does after it. */
  readonly onOver: (limit: LastWord) => void;
  readonly clock: Clock;
}

export class Meter extends Transform {
  readonly #deps: MeterDeps;
  readonly #signal: AbortSignal;
  #isOver = false;

  constructor(deps: MeterDeps, signal: AbortSignal) {
    super();
    this.#deps = deps;
    this.#signal = signal;
  }

  /** Nothing comes out any more but `word`, and nothing is taken in: whoever writes waits until he is cut off. */
  say(word: LastWord): void {
    if (this.#isOver || this.destroyed || this.readableEnded) return;
    this.#isOver = true;
    this.push(encodeLastWord(word));
    this.push(null);
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#isOver) return;
    const spent = this.#deps.spend(chunk.length);
    if (spent.kind === "over") this.#deps.onOver(spent.limit);
    else if (spent.ms > 0) void this.#passLater(spent.ms, chunk, done);
    else done(null, chunk);
  }

  async #passLater(ms: number, chunk: Buffer, done: TransformCallback): Promise<void> {
    try {
      await this.#deps.clock.sleep(ms, this.#signal);
    } catch (error) {
      done(error as Error); // the stream ends for another reason, and this one is not heard any more
      return;
    }
    if (!this.#isOver) done(null, chunk);
  }
}
