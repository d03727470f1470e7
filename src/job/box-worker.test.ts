import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { Failure } from "../core/light.ts";
import { BoxWorker, type Channel } from "./box-worker.ts";
import { encodeMessage, type FromWorker } from "./inside/messages.ts";
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
  #writes = 0;

  constructor(said: readonly FromWorker[], mute = false) {
    this.#said = said;
    this.#mute = mute;
  }

  async write(): Promise<void> {
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
