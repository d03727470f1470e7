import assert from "node:assert/strict";
import { once } from "node:events";
import { Duplex } from "node:stream";
import { describe, test } from "node:test";
import { Cushion } from "./cushion.ts";

describe("a cushion", () => {
  test("takes writes while those before them are under way, up to its room", async () => {
    const below = new Slow();
    const cushion = new Cushion(below);
    let done = 0;
    for (let i = 0; i < 20; i++) cushion.write(Buffer.alloc(64 * 1024), () => done++);
    await settle();
    assert.deepEqual([done, below.taken], [7, 1]);
    for (let i = 0; i < 20; i++) await below.goOn();
    assert.deepEqual([done, below.taken], [20, 20]);
  });

  test("reads no more than is wanted", async () => {
    const below = new Slow();
    const cushion = new Cushion(below);
    for (let i = 0; i < 100; i++) below.push(Buffer.alloc(16 * 1024));
    await settle();
    assert.ok(cushion.readableLength <= 64 * 1024, `${cushion.readableLength} bytes`);
    let read = 0;
    cushion.on("data", (chunk: Buffer) => {
      read += chunk.length;
    });
    below.push(null);
    await once(cushion, "end");
    assert.equal(read, 100 * 16 * 1024);
  });

  test("ends below when it is ended, after all that was written", async () => {
    const below = new Slow();
    const cushion = new Cushion(below);
    cushion.end("the last words");
    const finished = once(below, "finish");
    await below.goOn();
    await finished;
  });

  test("goes with what is below, and takes it along", async () => {
    const [one, two] = [new Slow(), new Slow()];
    const [first, second] = [new Cushion(one), new Cushion(two)];
    first.on("error", () => undefined);
    one.destroy(new Error("cut"));
    await settle();
    assert.ok(first.destroyed);
    second.destroy();
    await once(two, "close");
  });
});

/** Takes one write at a time, and only when it is told to go on. */
class Slow extends Duplex {
  taken = 0;
  #done: (() => void) | undefined;

  constructor() {
    super();
    this.on("error", () => undefined);
  }

  override _read(): void {}

  override _write(_chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.taken++;
    this.#done = done;
  }

  async goOn(): Promise<void> {
    await settle();
    this.#done?.();
    await settle();
  }
}

function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
