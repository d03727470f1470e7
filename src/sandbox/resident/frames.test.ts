import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeFrame, type Frame, type FrameKind, frameKinds, FrameReader, MAX_FRAME_BYTES } from "./frames.ts";

const kind = fc.constantFrom(...(Object.keys(frameKinds) as FrameKind[]));
const frames = fc.array(fc.record({ kind, content: fc.uint8Array({ maxLength: 400 }) }), { maxLength: 12 });

describe("frames", () => {
  test("come out as they went in, whatever the pieces", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(900), { maxLength: 20 }), (sent, cuts) => {
        const bytes = Buffer.concat(sent.map((frame) => encodeFrame(frame.kind, frame.content)));
        const received = readAll(pieces(bytes, cuts));
        assert.deepEqual(
          received.map((frame) => ({ kind: frame.kind, content: new Uint8Array(frame.content) })),
          sent.map((frame) => ({ kind: frame.kind, content: new Uint8Array(frame.content) })),
        );
      }),
    );
  });

  test("are refused at their head when they are none, and never gathered beyond the cap", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 5, maxLength: 64 }), (bytes) => {
        const reader = new FrameReader();
        const length = Buffer.from(bytes).readUInt32BE(1);
        const isFrame = (bytes[0] ?? 0) >= 1 && (bytes[0] ?? 0) <= 8 && length <= MAX_FRAME_BYTES;
        if (isFrame) return;
        assert.throws(() => [...reader.take(bytes)], RangeError);
      }),
    );
    const tooLong = Buffer.from([frameKinds.stdin, 0, 4, 0, 1]);
    assert.throws(() => [...new FrameReader().take(tooLong)], RangeError);
    assert.throws(() => encodeFrame("stdin", Buffer.alloc(MAX_FRAME_BYTES + 1)), RangeError);
  });
});

function readAll(chunks: readonly Buffer[]): Frame[] {
  const reader = new FrameReader();
  return chunks.flatMap((chunk) => [...reader.take(chunk)]);
}

function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const all: Buffer[] = [];
  let rest = bytes;
  for (const cut of cuts) {
    all.push(rest.subarray(0, cut));
    rest = rest.subarray(cut);
  }
  return [...all, rest];
}
