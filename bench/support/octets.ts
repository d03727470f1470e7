/** Bytes to move, and how long they take: the same for every way that is compared. */

import { randomFillSync } from "node:crypto";
import { Readable, type Duplex } from "node:stream";

const CHUNK = randomFillSync(Buffer.allocUnsafe(65_536));

/** @param bytes Infinity never ends */
export function source(bytes: number): Readable {
  let left = bytes;
  return new Readable({
    highWaterMark: CHUNK.length,
    read() {
      if (left <= 0) this.push(null);
      else {
        const chunk = left >= CHUNK.length ? CHUNK : CHUNK.subarray(0, left);
        left -= chunk.length;
        this.push(chunk);
      }
    },
  });
}

/** Reads until `bytes` have come. Rejects when the stream ends before. */
export function drain(stream: Duplex, bytes: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let left = bytes;
    stream.on("data", (chunk: Buffer) => {
      left -= chunk.length;
      if (left <= 0) resolve();
    });
    stream.once("error", reject);
    stream.once("close", () => reject(new Error(`closed with ${left} bytes to come`)));
  });
}

/** What a server is asked for: how many bytes, in the first eight of the connection. */
export function order(bytes: number): Buffer {
  const head = Buffer.alloc(8);
  head.writeDoubleBE(bytes);
  return head;
}

/** Serves one connection: reads the order and sends what was ordered. */
export function fill(socket: Duplex): void {
  socket.on("error", () => {}); // the reader is done
  socket.once("data", (head: Buffer) => void source(head.readDoubleBE()).pipe(socket));
}
