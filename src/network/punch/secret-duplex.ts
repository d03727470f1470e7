/**
 * A Node Duplex over a secret stream of hyperdht.
 *
 * Writing waits for the stream's `drain`: streamx takes no callback. Reading never pauses the stream below, for nothing
 * above UDX can: it goes on receiving whatever this end does with it. HTTP/2's windows bound what an honest peer
 * sends ahead of its readers; a peer that keeps to no window meets the cap here, and is cut off.
 */

import { Duplex } from "node:stream";
import type { SecretStream } from "./engine.ts";

/** More than gathers while HTTP/2 stops reading for a write of its own (20 ms at most), at any speed UDX has. */
const MAX_UNREAD_BYTES = 8 * 1024 * 1024;
/** What is written at once becomes one frame: larger ones save system calls, smaller ones memory. */
const MAX_FRAME_BYTES = 64 * 1024;

export interface SecretDuplex {
  readonly duplex: Duplex;
  /** What arrived and was taken. What merely lies here says nothing about the reader. */
  readonly bytesRead: () => number;
}

/** @param first what had arrived already */
export function duplexOver(stream: SecretStream, first: Buffer): SecretDuplex {
  let received = 0;
  const duplex: Duplex = new Duplex({
    allowHalfOpen: false,
    writableHighWaterMark: 2 * MAX_FRAME_BYTES,
    read: () => {},
    writev: (chunks, done) => write(stream, framed(chunks.map(({ chunk }) => chunk as Buffer)), done),
    final: (done) => {
      stream.end();
      done();
    },
    destroy: (_error, done) => {
      stream.destroy();
      done(null); // "close" is what counts
    },
  });
  const take = (chunk: Buffer) => {
    received += chunk.length;
    duplex.push(chunk);
    if (duplex.readableLength > MAX_UNREAD_BYTES) duplex.destroy();
  };
  stream.on("data", take);
  stream.once("end", () => duplex.push(null));
  stream.once("close", () => void duplex.destroy());
  if (stream.destroyed) duplex.destroy();
  else if (first.length > 0) take(first);
  return { duplex, bytesRead: () => received - duplex.readableLength };
}

function write(stream: SecretStream, frames: Buffer[], done: (error?: Error | null) => void): void {
  const end = () => {
    stream.removeListener("drain", more).removeListener("close", closed);
  };
  const closed = () => {
    end();
    done(new Error("the stream has closed"));
  };
  const more = () => {
    for (let frame = frames.shift(); frame !== undefined; frame = frames.shift()) {
      if (!stream.write(frame)) return; // taken all the same; "drain" follows
    }
    end();
    done();
  };
  if (stream.destroyed) {
    done(new Error("the stream has closed"));
    return;
  }
  stream.on("drain", more).once("close", closed);
  more();
}

/** Small pieces together, large ones apart. HTTP/2 writes a header of 9 bytes before each piece of data. */
function framed(chunks: readonly Buffer[]): Buffer[] {
  const frames: Buffer[] = [];
  let gathered: Buffer[] = [];
  let bytes = 0;
  const flush = () => {
    if (bytes > 0) frames.push(gathered.length === 1 ? (gathered[0] as Buffer) : Buffer.concat(gathered, bytes));
    gathered = [];
    bytes = 0;
  };
  for (const chunk of chunks) {
    for (let at = 0; at < chunk.length; ) {
      const piece = chunk.subarray(at, at + MAX_FRAME_BYTES - bytes);
      gathered.push(piece);
      bytes += piece.length;
      at += piece.length;
      if (bytes === MAX_FRAME_BYTES) flush();
    }
  }
  flush();
  return frames;
}
