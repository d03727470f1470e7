import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { describe, test } from "node:test";
import type { SecretStream } from "./engine.ts";
import { duplexOver } from "./secret-duplex.ts";

describe("a duplex over a secret stream", () => {
  test("writes small pieces as one frame and large ones as frames of 64 KiB", () => {
    const stream = new FakeStream();
    const { duplex } = duplexOf(stream);
    duplex.cork();
    const pieces = [9, 100, 70_000, 9].map((length) => randomBytes(length));
    for (const piece of pieces) duplex.write(piece);
    duplex.uncork();
    assert.deepEqual(
      stream.frames.map(({ length }) => length),
      [65_536, 4_582],
    );
    assert.ok(Buffer.concat(stream.frames).equals(Buffer.concat(pieces)));
  });

  test("writes on only after the stream has drained, which takes no callback", async () => {
    const stream = new FakeStream();
    const { duplex } = duplexOf(stream);
    stream.takesMore = false;
    let isDone = false;
    duplex.write(Buffer.alloc(200_000), () => {
      isDone = true;
    });
    assert.equal(stream.frames.length, 1);
    stream.emit("drain");
    stream.emit("drain");
    assert.equal(stream.frames.length, 3);
    stream.emit("drain");
    assert.equal(stream.frames.length, 4);
    await turn();
    assert.equal(isDone, false, "the last frame waits as well");
    stream.emit("drain");
    await turn();
    assert.equal(isDone, true);
    assert.equal(stream.listenerCount("drain"), 0);
  });

  test("fails what is being written when the stream closes", async () => {
    const stream = new FakeStream();
    const { duplex } = duplexOf(stream);
    duplex.on("error", () => {});
    stream.takesMore = false;
    const written = new Promise((resolve) => duplex.write(Buffer.alloc(10), resolve));
    stream.destroy();
    assert.ok((await written) instanceof Error);
    assert.ok(duplex.destroyed);
  });

  test("counts what was taken, not what merely arrived", async () => {
    const stream = new FakeStream();
    const { duplex, bytesRead } = duplexOf(stream, Buffer.alloc(5));
    stream.emit("data", Buffer.alloc(10));
    assert.equal(bytesRead(), 0);
    duplex.read(6);
    assert.equal(bytesRead(), 6);
    duplex.resume();
    await turn();
    assert.equal(bytesRead(), 15);
  });

  test("cuts off who sends 8 MiB ahead of the reader, and holds nothing of it", async () => {
    const stream = new FakeStream();
    const { duplex } = duplexOf(stream);
    const chunk = Buffer.alloc(64 * 1024);
    for (let sent = 0; sent < 128; sent++) stream.emit("data", chunk);
    assert.equal(duplex.destroyed, false);
    stream.emit("data", chunk);
    assert.ok(duplex.destroyed && stream.destroyed);
  });

  test("ends when the other end does, and is closed when the stream closed before", async () => {
    const stream = new FakeStream();
    const { duplex } = duplexOf(stream);
    stream.emit("end");
    duplex.resume();
    await once(duplex, "close");
    assert.ok(stream.destroyed);
    assert.ok(duplexOf(stream).duplex.destroyed);
  });
});

function duplexOf(stream: FakeStream, first = Buffer.alloc(0)) {
  return duplexOver(stream as unknown as SecretStream, first);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

class FakeStream extends EventEmitter {
  readonly frames: Buffer[] = [];
  takesMore = true;
  destroyed = false;

  write(frame: Buffer): boolean {
    this.frames.push(Buffer.from(frame));
    return this.takesMore;
  }

  end(): void {}

  destroy(): void {
    if (this.destroyed) return;
    this.destroyed = true;
    this.emit("close");
  }
}
