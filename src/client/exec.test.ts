import assert from "node:assert/strict";
import { duplexPair, type Duplex } from "node:stream";
import { describe, test } from "node:test";
import { encodeFrame, type Frame, FrameReader, MAX_FRAME_BYTES } from "../sandbox/light.ts";
import { Exec } from "./exec.ts";

const start = { argv: ["true"], env: {} };

describe("Exec", () => {
  test("begins with what to start, and gives what comes of it to its end", async () => {
    const { exec, inside } = await opened();
    assert.deepEqual(JSON.parse(String((await nextFrame(inside)).content)), start);
    for (const kind of ["stdout", "stderr", "end"] as const) inside.write(encodeFrame(kind, kind));
    inside.end();
    const frames = await Array.fromAsync((await exec).frames());
    assert.deepEqual(
      frames.map(({ kind, content }) => `${kind} ${String(content)}`),
      ["stdout stdout", "stderr stderr", "end end"],
    );
  });

  test("cuts what is too long for a frame, and passes every byte", async () => {
    const { exec, inside } = await opened();
    const bytes = Buffer.from(Array.from({ length: 2 * MAX_FRAME_BYTES + 1 }, (_, index) => index % 251));
    const sending = (await exec).send("stdin", bytes);
    const got: Buffer[] = [];
    const reader = new FrameReader();
    for await (const chunk of inside as AsyncIterable<Buffer>) {
      for (const frame of reader.take(chunk)) if (frame.kind === "stdin") got.push(Buffer.from(frame.content));
      if (Buffer.concat(got).length >= bytes.length) break;
    }
    await sending;
    assert.deepEqual(
      got.map(({ length }) => length),
      [MAX_FRAME_BYTES, MAX_FRAME_BYTES, 1],
    );
    assert.ok(Buffer.concat(got).equals(bytes));
  });

  test("sends an empty frame too: the end of the input", async () => {
    const { exec, inside } = await opened();
    await nextFrame(inside);
    await (await exec).send("stdinEnd");
    assert.equal((await nextFrame(inside)).kind, "stdinEnd");
  });

  test("leaves no listener behind, however often it waits for room", async () => {
    const { exec, near, inside } = await opened();
    const sender = await exec;
    const before = ["drain", "close", "error"].map((name) => near.listenerCount(name));
    inside.resume();
    await sender.send("stdin", Buffer.alloc(20 * MAX_FRAME_BYTES));
    assert.deepEqual(
      ["drain", "close", "error"].map((name) => near.listenerCount(name)),
      before,
    );
  });

  test("ends without the last frame when it is cut off, and nothing waits for ever", async () => {
    const { exec, inside } = await opened();
    const sending = (await exec).send("stdin", Buffer.alloc(4 * MAX_FRAME_BYTES)); // nobody reads
    inside.destroy(new Error("cut"));
    inside.on("error", () => undefined);
    await (await exec)[Symbol.asyncDispose]();
    await sending;
    assert.deepEqual(await Array.fromAsync((await exec).frames()), []);
  });
});

async function opened(): Promise<{ exec: Promise<Exec>; near: Duplex; inside: Duplex }> {
  const [near, inside] = duplexPair();
  return { exec: Exec.open(near, start), near, inside };
}

async function nextFrame(inside: Duplex): Promise<Frame> {
  const reader = new FrameReader();
  for (;;) {
    const chunk = inside.read() as Buffer | null;
    if (chunk !== null) for (const frame of reader.take(chunk)) return frame;
    await new Promise((resolve) => setImmediate(resolve));
  }
}
