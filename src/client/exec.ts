/**
 * A command in a sandbox, as frames: what it is given (stdin, the size of the terminal, signals) and what comes of it
 * (stdout, stderr, and at last how it ended).
 */

import type { Duplex } from "node:stream";
import {
  drained,
  encodeFrame,
  type ExecStart,
  type Frame,
  type FrameKind,
  FrameReader,
  MAX_FRAME_BYTES,
} from "../sandbox/light.ts";

export class Exec implements AsyncDisposable {
  readonly #stream: Duplex;

  /** @param stream as `box-exec:` gives it */
  static async open(stream: Duplex, start: ExecStart): Promise<Exec> {
    const exec = new Exec(stream);
    await exec.send("start", JSON.stringify(start));
    return exec;
  }

  private constructor(stream: Duplex) {
    this.#stream = stream;
    stream.on("error", () => undefined); // whoever reads sees that it ended early
  }

  /** Resolves when there is room for more. What is sent after the end goes nowhere. Long contents take several frames. */
  async send(kind: FrameKind, content: Uint8Array | string = ""): Promise<void> {
    const bytes = typeof content === "string" ? Buffer.from(content) : content;
    for (let at = 0; at === 0 || at < bytes.length; at += MAX_FRAME_BYTES) {
      if (this.#stream.destroyed || this.#stream.writableEnded) return;
      const fits = this.#stream.write(encodeFrame(kind, bytes.subarray(at, at + MAX_FRAME_BYTES)));
      if (!fits) await drained(this.#stream);
    }
  }

  /**
   * Frames of stdout and stderr, and the one of the end. One that stops without it was cut off on the way.
   * @throws {RangeError} what the other end sent is no frame
   */
  async *frames(): AsyncGenerator<Frame> {
    const reader = new FrameReader();
    try {
      for await (const chunk of this.#stream as AsyncIterable<Buffer>) yield* reader.take(chunk);
    } catch (error) {
      if (error instanceof RangeError) throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stream.destroy();
  }
}
