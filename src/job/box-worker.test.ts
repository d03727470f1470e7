import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import fc from "fast-check";
import { FakeBox } from "../../test/support/fake-worker.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Failure } from "../core/light.ts";
import { BoxWorker, type Channel } from "./box-worker.ts";
import { encodeMessage, type FromWorker, MessageReader } from "./inside/messages.ts";
import { BadDelivery, Receipt } from "./receipt.ts";

const signal = new AbortController().signal;

describe("what a worker says", () => {
  test("is an end or an error, whatever it is, and never more", async () => {
    const word = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom("ended", "text", "file", "file-end", "need", "started", "stdout"),
    );
    const message = fc.oneof(
      fc.jsonValue(),
      fc.record({
        did: word,
        id: fc.constantFrom(1, 2),
        end: word,
        from: word,
        out: word,
        size: word,
        sha256: word,
        ms: word,
      }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 8 }), async (said) => {
        await using worker = await opened(said as FromWorker[]);
        const receipt = new Receipt({ outs: [], mark: "m", text: "/proc/nowhere/1", maxBytes: 10 });
        const wish = { id: 1, argv: () => ["x"], input: undefined, outs: [], receipt, onStarted: () => undefined };
        const outcome: unknown = await worker.run(wish, signal).catch((error: unknown) => error);
        const isEnd = typeof outcome === "object" && outcome !== null && "end" in outcome;
        assert.ok(isEnd || outcome instanceof Failure || outcome instanceof BadDelivery, String(outcome));
      }),
      { numRuns: 300 },
    );
  });

  test("ends no more than its task, also where it is no text, no number, or a name that everything has", async () => {
    const receipt = new Receipt({ outs: ["/proc/nowhere/o"], mark: "m", text: "/proc/nowhere/1", maxBytes: 10 });
    const wish = { id: 1, argv: () => ["x"], input: undefined, outs: ["o"], receipt, onStarted: () => undefined };
    const hostile = { toString: 1, valueOf: 1 };
    for (const message of [
      { did: "file", id: 1, out: "length" },
      { did: "file-end", id: 1, out: "at", size: 0, sha256: "" },
      { did: "ended", id: 1, end: { kind: "exited", code: hostile }, ms: 1 },
      { did: "ended", id: 1, end: { kind: "nobody knows" }, ms: 1 },
      { did: "need", id: 1, sha256: "a".repeat(64) },
    ]) {
      await using worker = await opened(Array.from({ length: 9 }, () => message as unknown as FromWorker));
      await assert.rejects(worker.run(wish, signal), BadDelivery, JSON.stringify(message));
    }
    const end = { kind: "refused", reason: hostile };
    await using worker = await opened([{ did: "ended", id: 1, end, ms: 1 } as unknown as FromWorker]);
    assert.deepEqual((await worker.run(wish, signal)).end, { kind: "refused", reason: "" });
  });

  test("is answered when it needs what was called off: others there may wait for the same", async () => {
    const sha256 = "a".repeat(64);
    const need = { did: "need", id: 1, sha256 } as const;
    const channel = new Saying([{ did: "ready", root: "/r" }, need, need]);
    await using worker = await BoxWorker.open(
      { clock: new VirtualClock(), start: async () => channel, onSent: () => undefined },
      begin,
      signal,
    );
    const receipt = new Receipt({ outs: [], mark: "m", text: "/proc/nowhere/1", maxBytes: 10 });
    const wish = { id: 1, argv: () => ["x"], input: undefined, outs: [], receipt, onStarted: () => undefined };
    const calling = new AbortController();
    const called = assert.rejects(worker.run(wish, calling.signal), { name: "AbortError" });
    calling.abort();
    await called;
    await assert.rejects(worker.gone); // it has said all of it
    assert.deepEqual(channel.heard.slice(2), [
      { do: "cancel", id: 1 },
      { do: "put-drop", sha256 },
    ]);
  });

  test("is forgotten with its task, however long the worker lives", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    await using worker = await BoxWorker.open(
      {
        clock: new VirtualClock(),
        start: async () => await new FakeBox(async () => ({})).start(),
        onSent: () => undefined,
      },
      begin,
      signal,
    );
    const receipt = new Receipt({ outs: [], mark: "m", text: "/proc/nowhere/1", maxBytes: 10 });
    const wish = { id: 1, argv: () => ["x"], input: undefined, outs: [], receipt, onStarted: () => undefined };
    const ended = new WeakRef(await worker.run(wish, signal));
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    collect();
    assert.equal(ended.deref(), undefined);
  });

  test("is waited for, but not for ever", async () => {
    const clock = new VirtualClock();
    const opening = BoxWorker.open(
      { clock, start: async () => new Saying([], true), onSent: () => undefined },
      begin,
      signal,
    );
    const refused = assert.rejects(opening, { code: "timed-out" });
    await clock.advance(31_000);
    await refused;
  });
});

const begin = { job: "7f3a", slots: 1, keepBytes: 0 };

async function opened(said: readonly FromWorker[]): Promise<BoxWorker> {
  const channel = new Saying([{ did: "ready", root: "/r" }, ...said]);
  return await BoxWorker.open(
    { clock: new VirtualClock(), start: async () => channel, onSent: () => undefined },
    begin,
    signal,
  );
}

/** Says it once it is given a task, and goes. */
class Saying implements Channel {
  readonly #said: readonly FromWorker[];
  readonly #mute: boolean;
  readonly #task = Promise.withResolvers<void>();
  readonly heard: unknown[] = [];
  #writes = 0;

  constructor(said: readonly FromWorker[], mute = false) {
    this.#said = said;
    this.#mute = mute;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (const { header } of new MessageReader().take(bytes)) this.heard.push(header);
    if (++this.#writes === 2) this.#task.resolve();
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#output();
  }

  lastWords(): string {
    return "";
  }

  async *#output(): AsyncGenerator<Uint8Array> {
    if (this.#mute) await this.#task.promise;
    for (const [at, message] of this.#said.entries()) {
      if (at === 1) await this.#task.promise;
      yield encodeMessage(message);
    }
    if (this.#said.length === 1) await this.#task.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#task.resolve();
  }
}
