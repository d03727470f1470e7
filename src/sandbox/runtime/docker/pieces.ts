/** An engine's stream of stdout and stderr, cut into its pieces: each has 8 bytes before it that say which it is and how long. */

const HEAD_BYTES = 8;
const STDERR = 2;

export class PieceReader {
  /** The head of the next piece, as far as it has come. */
  #head: Buffer = Buffer.alloc(0);
  #stderr = false;
  #missing = 0;

  /** Pieces may come in several parts: nothing is kept to make them whole. */
  *take(bytes: Buffer): IterableIterator<{ readonly stderr: boolean; readonly content: Buffer }> {
    for (let rest = bytes; rest.length > 0; ) {
      if (this.#missing === 0) rest = this.#takeHead(rest);
      const content = rest.subarray(0, this.#missing);
      rest = rest.subarray(content.length);
      this.#missing -= content.length;
      if (content.length > 0) yield { stderr: this.#stderr, content };
    }
  }

  #takeHead(bytes: Buffer): Buffer {
    const needed = HEAD_BYTES - this.#head.length;
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, needed)]);
    if (this.#head.length === HEAD_BYTES) {
      this.#stderr = this.#head.readUInt8(0) === STDERR;
      this.#missing = this.#head.readUInt32BE(4);
      this.#head = Buffer.alloc(0);
    }
    return bytes.subarray(needed);
  }
}
