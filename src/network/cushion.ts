/**
 * A little room between TLS and the stream that it runs on.
 *
 * Node's TLS over a stream that is no socket waits for each write to be done before it makes the next one, and an HTTP/2 stream
 * is done only when its session has written. With room in between both go on: about twice the throughput.
 */

import { Duplex } from "node:stream";
import { passingBytes } from "../base/index.ts";
import { type LastWord, LastWords } from "./last-word.ts";

/** What may be under way; beyond it the writer waits. A relayed link costs this much more memory at most. */
const ROOM_BYTES = 512 * 1024;

export class Cushion extends Duplex {
  readonly #below: Duplex;
  readonly #lastWords = new LastWords();
  #underWay = 0;
  #waiting: (() => void) | undefined;

  constructor(below: Duplex) {
    super({ allowHalfOpen: true });
    this.#below = below;
    below.on("data", (chunk: Buffer) => {
      this.#lastWords.add(chunk);
      if (!this.push(chunk)) below.pause();
    });
    below.once("end", () => {
      if (this.lastWord === undefined) this.push(null);
      else this.destroy(); // nothing else will be said, and nothing heard
    });
    below.once("error", (error: Error) => this.destroy(error));
    below.once("close", () => this.destroy());
    below.pause();
  }

  /** What a relay below said when it ended this. */
  get lastWord(): LastWord | undefined {
    return this.#lastWords.word;
  }

  override _read(): void {
    this.#below.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.#underWay += chunk.length;
    passingBytes.add(chunk.length);
    this.#below.write(chunk, () => {
      this.#underWay -= chunk.length;
      if (this.#underWay < ROOM_BYTES) this.#goOn();
    });
    if (this.#underWay < ROOM_BYTES) done();
    else this.#waiting = done;
  }

  override _final(done: () => void): void {
    this.#below.end(() => done());
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#below.destroy(error ?? undefined);
    this.#goOn();
    done(error);
  }

  #goOn(): void {
    const done = this.#waiting;
    this.#waiting = undefined;
    done?.();
  }
}
