import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Failure } from "./errors.ts";
import { progressLines } from "./progress.ts";

describe("progressLines", () => {
  test("tells progress and then the result, a line each", async () => {
    const lines = progressLines<number, string>(
      async (note) => {
        note(1);
        note(2);
        return "done";
      },
      { onDefect: unexpected },
    );
    assert.equal((await lines.toArray()).join(""), '{"progress":1}\n{"progress":2}\n{"result":"done"}\n');
  });

  test("ends with the Failure that a person may meet", async () => {
    const lines = progressLines(() => Promise.reject(new Failure("busy", "a test is running", { hint: "wait" })), {
      onDefect: unexpected,
    });
    assert.equal(
      (await lines.toArray()).join(""),
      '{"error":{"code":"busy","message":"a test is running","hint":"wait"}}\n',
    );
  });

  test("keeps the words of a defect to itself and hands it on", async () => {
    const defect = new TypeError("secret path /home/me");
    const seen: unknown[] = [];
    const lines = progressLines(() => Promise.reject(defect), { onDefect: (error) => seen.push(error) });
    const text = (await lines.toArray()).join("");
    assert.deepEqual(seen, [defect]);
    assert.match(text, /"code":"defect"/);
    assert.doesNotMatch(text, /secret/);
  });

  test("ends the work when the reader leaves", async () => {
    let ended = false;
    const lines = progressLines(
      (_note, signal) =>
        new Promise<void>((_, reject) => {
          signal.addEventListener("abort", () => {
            ended = true;
            reject(signal.reason as Error);
          });
        }),
      { onDefect: unexpected },
    );
    await turn();
    await turn();
    lines.destroy();
    await turn();
    assert.equal(ended, true);
  });

  test("holds no more than a buffer of progress for a reader that does not read, and still the end", async () => {
    const lines = progressLines<string, string>(
      async (note) => {
        for (let i = 0; i < 100_000; i++) note("x".repeat(100));
        return "end";
      },
      { onDefect: unexpected },
    );
    await turn();
    await turn();
    assert.ok(lines.readableLength < 2 * lines.readableHighWaterMark, `${lines.readableLength} bytes are held`);
    assert.match((await lines.toArray()).join(""), /\{"result":"end"\}\n$/);
  });
});

function unexpected(error: unknown): void {
  throw error;
}
