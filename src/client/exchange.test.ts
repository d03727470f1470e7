import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Failure } from "../core/light.ts";
import { askJson, askSteps, linesOf } from "./exchange.ts";
import type { Transport } from "./transport.ts";

const { signal } = new AbortController();
const get = { method: "GET", path: "/" } as const;

function answering(status: number, text: string, pieceBytes = 3): Transport {
  return {
    send: async () => ({ status, body: inPieces(text, pieceBytes) }),
    connect: () => assert.fail("nothing is connected here"),
    [Symbol.asyncDispose]: async () => undefined,
  };
}

async function* inPieces(text: string, pieceBytes: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

describe("askJson", () => {
  test("gives the value", async () => {
    assert.deepEqual(await askJson(answering(200, '{"a":"ü"}', 1), get, signal), { a: "ü" });
  });

  test("makes a Failure again of what was answered", async () => {
    const answer = answering(404, '{"error":{"code":"unknown-node","message":"no such node","hint":"look again"}}');
    await assert.rejects(askJson(answer, get, signal), (error) => {
      assert.ok(error instanceof Failure);
      assert.deepEqual([error.code, error.message, error.hint], ["unknown-node", "no such node", "look again"]);
      return true;
    });
  });

  test("keeps the words of a failure whose code it does not know", async () => {
    const answer = answering(418, '{"error":{"code":"teapot","message":"short and stout"}}');
    await assert.rejects(askJson(answer, get, signal), { code: "daemon-failed", message: "short and stout" });
  });

  test("takes a defect of the daemon for one", async () => {
    const answer = answering(500, '{"error":{"code":"defect","message":"oh"}}');
    await assert.rejects(askJson(answer, get, signal), (error) => !(error instanceof Failure));
  });

  test("refuses what is not JSON, and an error without words", async () => {
    await assert.rejects(askJson(answering(200, "<html>"), get, signal), { code: "bad-reply" });
    await assert.rejects(askJson(answering(500, '{"error":"no"}'), get, signal), { code: "bad-reply" });
    await assert.rejects(askJson(answering(500, "[]"), get, signal), { code: "bad-reply" });
  });
});

describe("askSteps", () => {
  test("yields progress, and the result at the end", async () => {
    const steps = await Array.fromAsync(
      askSteps(answering(200, '{"progress":1}\n{"progress":2}\n{"result":3}\n'), get, signal),
    );
    assert.deepEqual(steps, [{ progress: 1 }, { progress: 2 }, { result: 3 }]);
  });

  test("fails with an error on the way, and with one at the start", async () => {
    const late = answering(200, '{"progress":1}\n{"error":{"code":"busy","message":"later"}}\n');
    await assert.rejects(Array.fromAsync(askSteps(late, get, signal)), { code: "busy" });
    const early = answering(429, '{"error":{"code":"too-often","message":"later"}}');
    await assert.rejects(Array.fromAsync(askSteps(early, get, signal)), { code: "too-often" });
  });

  test("fails when it ends without a result", async () => {
    await assert.rejects(Array.fromAsync(askSteps(answering(200, '{"progress":1}\n'), get, signal)), {
      code: "daemon-failed",
    });
    await assert.rejects(Array.fromAsync(askSteps(answering(200, '{"progress":1}\n{"resu'), get, signal)), {
      code: "bad-reply",
    });
  });
});

test("linesOf finds the lines in any pieces", async () => {
  const text = "eins\n\nzwölf 🏠\nohne Ende";
  for (const pieceBytes of [1, 2, 3, 5, 100]) {
    assert.deepEqual(await Array.fromAsync(linesOf(inPieces(text, pieceBytes))), ["eins", "", "zwölf 🏠", "ohne Ende"]);
  }
});
