import assert from "node:assert/strict";
import { once } from "node:events";
import { Duplex, duplexPair } from "node:stream";
import { describe, test } from "node:test";
import { splice } from "./splice.ts";

describe("splice", () => {
  test("carries bytes both ways, and each way's end alone", async () => {
    const { left, right, joined } = pairs();
    left.end("what is the time?");
    assert.equal(await textOf(right), "what is the time?");
    right.end("late"); // after the other has said all
    assert.equal(await textOf(left), "late");
    assert.equal(await joined, undefined);
  });

  test("breaks one side when the other breaks", async () => {
    const { middle, joined } = pairs();
    middle[0].destroy(new Error("cut"));
    assert.match((await joined)?.message ?? "", /cut/);
    assert.ok(middle[1].destroyed);
  });

  test("breaks one side when the other is destroyed between its last byte and its end", async () => {
    const [client, near] = duplexPair();
    const far = silent();
    const joined = splice(near, far);
    client.end(); // it has said all, and listens, but reads nothing yet
    await once(far, "finish");
    far.push(Buffer.alloc(1024 * 1024));
    far.push(null);
    far.destroy();
    assert.match((await joined)?.message ?? "", /premature/i);
    assert.ok(near.destroyed);
  });

  test("breaks one side when the other was closed before", async () => {
    const [, near] = duplexPair();
    const far = silent();
    far.push(null);
    far.destroy();
    await once(far, "close");
    assert.ok(await splice(near, far));
    assert.ok(near.destroyed);
  });

  test("warns of no leak though others listen for the end as well", async () => {
    const warnings: Error[] = [];
    const hear = (warning: Error) => void warnings.push(warning);
    process.on("warning", hear);
    const [left, one] = duplexPair();
    const [two, right] = duplexPair();
    for (let i = 0; i < 6; i++) two.once("close", () => undefined);
    const joined = splice(one, two);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", hear);
    assert.deepEqual(warnings, []);
    left.end();
    right.end();
    left.resume();
    right.resume();
    await joined;
  });

  test("holds back the writer when nobody reads", async () => {
    const { left } = pairs();
    const chunk = Buffer.alloc(64 * 1024);
    let taken = 0;
    while (left.write(chunk) && taken < 100) taken++;
    for (let turn = 0; turn < 50; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      if (left.writableNeedDrain) continue;
      left.write(chunk);
      taken++;
    }
    assert.ok(taken < 20, `${taken} chunks were taken`);
  });
});

function pairs() {
  const [left, one] = duplexPair();
  const [two, right] = duplexPair();
  return { left, right, middle: [one, two] as const, joined: splice(one, two) };
}

/** Takes what is written to it, and says nothing by itself. */
function silent(): Duplex {
  return new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
}

async function textOf(stream: Duplex): Promise<string> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}
