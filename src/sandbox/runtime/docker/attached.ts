/** A process in a container as a Duplex: what is written is its stdin, what is read its stdout. Of stderr the end is kept. */

import { Duplex } from "node:stream";
import { PieceReader } from "./pieces.ts";

/** A stack and a half. */
const MAX_STDERR_LETTERS = 4_096;

export class Attached extends Duplex {
  readonly #socket: Duplex;
  readonly #pieces = new PieceReader();
  #stderr = "";

  /** @param socket belongs to it from now on */
  constructor(socket: Duplex) {
    super();
    this.#socket = socket;
    let over = false;
    socket.on("data", (bytes: Buffer) => this.#take(bytes));
    socket.once("end", () => {
      over = true;
      this.push(null); // what was read already is still for the reader
      this.end();
    });
    socket.once("error", (error) => this.destroy(error));
    socket.once("close", () => {
      if (!over) this.destroy();
    });
  }

  /** The last of what the process wrote to stderr. */
  get complaint(): string {
    return this.#stderr.trim();
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(bytes: Buffer, encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(bytes, encoding, done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.on("error", () => {}); // it is on its way out
    this.#socket.destroy();
    done(error);
  }

  #take(bytes: Buffer): void {
    let wanted = true;
    for (const { stderr, content } of this.#pieces.take(bytes)) {
      if (stderr) this.#stderr = `${this.#stderr}${content.toString()}`.slice(-MAX_STDERR_LETTERS);
      else wanted = this.push(content);
    }
    if (!wanted) this.#socket.pause();
  }
}
