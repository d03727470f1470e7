/**
 * Joins two byte streams, each way by itself: the end of one is passed on as an end, and what the other still sends arrives.
 * Neither way reads ahead of the other side.
 */

import type { Duplex, Readable, Writable } from "node:stream";

export interface Spliced {
  /** Bytes that went from `a` to `b`, and back. */
  readonly aToB: number;
  readonly bToA: number;
}

/**
 * Resolves, never rejects, once both streams are closed. One that breaks takes the other with it.
 * @param note told of bytes as they pass, for those who count them while it goes on
 */
export async function splice(a: Duplex, b: Duplex, note: (bytes: number) => void = () => {}): Promise<Spliced> {
  const counts = { aToB: 0, bToA: 0 };
  const oneWay = (from: Readable, to: Writable, way: keyof typeof counts) => {
    from.on("data", (chunk: Uint8Array) => {
      counts[way] += chunk.length;
      note(chunk.length);
    });
    from.pipe(to);
  };
  const closed = Promise.all([untilClosed(a, b), untilClosed(b, a)]);
  oneWay(a, b, "aToB");
  oneWay(b, a, "bToA");
  await closed;
  return counts;
}

/** A stream that closed before both of its ways had ended broke: its other half has nothing left to say it to. */
function untilClosed(stream: Duplex, other: Duplex): Promise<void> {
  stream.on("error", () => {}); // "close" follows, and says enough
  const onClose = () => {
    if (!stream.readableEnded || !stream.writableFinished) other.destroy();
  };
  return new Promise((resolve) => {
    const done = () => {
      onClose();
      resolve();
    };
    if (stream.closed || stream.destroyed) done();
    else stream.once("close", done);
  });
}
