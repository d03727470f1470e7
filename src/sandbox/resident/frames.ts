/**
 * The frames of an exec, both ways: one byte of kind, four bytes of length (big endian), the content.
 *
 * The same frames go from the command line to the resident; whoever passes them on need not read them.
 */

/** From outside: start (JSON), stdin, stdin-end, resize (JSON), signal (its name). From inside: stdout, stderr, end (JSON). */
export const frameKinds = {
  start: 1,
  stdin: 2,
  stdinEnd: 3,
  resize: 4,
  signal: 5,
  stdout: 6,
  stderr: 7,
  end: 8,
} as const;
export type FrameKind = keyof typeof frameKinds;

export interface Frame {
  readonly kind: FrameKind;
  readonly content: Buffer;
}

/** More than any pipe hands over at once, little enough to hold for each of a thousand streams. */
export const MAX_FRAME_BYTES = 256 * 1024;
const HEAD_BYTES = 5;
const names = new Map<number, FrameKind>(Object.entries(frameKinds).map(([name, byte]) => [byte, name as FrameKind]));

/** @param content longer ones are for the caller to cut */
export function encodeFrame(kind: FrameKind, content: Uint8Array | string = ""): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  if (bytes.length > MAX_FRAME_BYTES)
    throw new RangeError(`a frame holds ${MAX_FRAME_BYTES} bytes, not ${bytes.length}`);
  const frame = Buffer.allocUnsafe(HEAD_BYTES + bytes.length);
  frame.writeUInt8(frameKinds[kind], 0);
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, HEAD_BYTES);
  return frame;
}

/** Cuts a stream of bytes into frames, whatever the pieces it arrives in. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /** @throws {RangeError} what the other end sent is no frame: give the stream up */
  *take(bytes: Uint8Array): IterableIterator<Frame> {
    this.#rest = this.#rest.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= HEAD_BYTES) {
      const kind = names.get(this.#rest.readUInt8(0));
      const length = this.#rest.readUInt32BE(1);
      if (kind === undefined || length > MAX_FRAME_BYTES) throw new RangeError("not a frame");
      if (this.#rest.length < HEAD_BYTES + length) return;
      const content = this.#rest.subarray(HEAD_BYTES, HEAD_BYTES + length);
      this.#rest = this.#rest.subarray(HEAD_BYTES + length);
      yield { kind, content };
    }
  }
}
