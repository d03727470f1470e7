import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { encodeMessage, MAX_PAYLOAD_BYTES, MessageReader, type ToWorker } from "./messages.ts";

describe("messages", () => {
  test("are what they were, whatever the pieces they arrive in", () => {
    const one = fc.record({ id: fc.nat(), payload: fc.uint8Array({ maxLength: 40 }) }, { noNullPrototype: true });
    fc.assert(
      fc.property(fc.array(one, { maxLength: 6 }), fc.integer({ min: 1, max: 50 }), (sent, size) => {
        const bytes = Buffer.concat(sent.map(({ id, payload }) => encodeMessage({ do: "cancel", id }, payload)));
        const reader = new MessageReader();
        const got: { id: number; payload: Uint8Array }[] = [];
        for (let at = 0; at < bytes.length; at += size)
          for (const { header, payload } of reader.take(bytes.subarray(at, at + size)))
            got.push({ id: (header as { id: number }).id, payload: new Uint8Array(payload) });
        assert.deepEqual(got, sent);
      }),
    );
  });

  test("of another make are refused, and never waited for", () => {
    assert.throws(() => [...new MessageReader().take(Buffer.alloc(8, 255))], RangeError);
    assert.throws(() => [...new MessageReader().take(Buffer.from([0, 0, 0, 1, 0, 0, 0, 0, 123]))], RangeError);
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        try {
          Array.from(new MessageReader().take(bytes));
        } catch (error) {
          assert.ok(error instanceof RangeError);
        }
      }),
    );
  });

  test("have a size", () => {
    assert.throws(() => encodeMessage({ do: "clear" }, new Uint8Array(MAX_PAYLOAD_BYTES + 1)), RangeError);
    const long: ToWorker = { do: "task", id: 1, argv: ["x".repeat(2 ** 20)], inputs: [], outs: [] };
    assert.throws(() => encodeMessage(long), RangeError);
  });
});
