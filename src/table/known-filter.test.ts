import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { seededRandom } from "../base/index.ts";
import { nodeIdFromPublicKey } from "../core/index.ts";
import { MAX_FILTER_CHARACTERS } from "./contract.ts";
import { decodeFilter, encodeFilter, fingerprint } from "./known-filter.ts";

describe("The filter of what is known", () => {
  test("knows all that went in, whatever the salt", () => {
    fc.assert(
      fc.property(fc.array(fc.integer(), { minLength: 1 }), fc.nat(0xffff_ffff), (marks, salt) => {
        const isKnown = decodeFilter(encodeFilter(marks, salt));
        return marks.every((mark) => isKnown(mark >>> 0) && isKnown(mark));
      }),
    );
  });

  test("mistakes about one in a hundred for known, others under another salt", () => {
    const [held, others] = [marks(1, 2_000), marks(2, 10_000)];
    const mistaken = (salt: number) => others.filter(decodeFilter(encodeFilter(held, salt)));
    assert.ok(mistaken(1).length < 200, `${mistaken(1).length} of 10,000`);
    assert.ok(mistaken(1).filter((mark) => mistaken(2).includes(mark)).length < 20);
  });

  test("tells another seq of the same node apart", () => {
    const id = nodeIdFromPublicKey(new Uint8Array(32).fill(3));
    const isKnown = decodeFilter(encodeFilter([fingerprint({ id, seq: 1 })], 9));
    assert.deepEqual([isKnown(fingerprint({ id, seq: 1 })), isKnown(fingerprint({ id, seq: 2 }))], [true, false]);
    assert.notEqual(fingerprint({ id, seq: 1 }), fingerprint({ id, seq: 2 ** 32 + 1 }));
  });

  test("knows nothing when it is absent or empty", () => {
    assert.deepEqual([decodeFilter(undefined)(1), decodeFilter({ salt: 1, bits: "" })(1)], [false, false]);
  });

  test("fits the question, however much is known", () => {
    assert.ok(encodeFilter(marks(3, 50_000), 1).bits.length <= MAX_FILTER_CHARACTERS);
  });

  test("reads any bits that a stranger sends", () => {
    fc.assert(
      fc.property(
        fc.string(),
        fc.integer(),
        (bits, mark) => typeof decodeFilter({ salt: 1, bits })(mark) === "boolean",
      ),
    );
  });
});

function marks(seed: number, count: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => fingerprint({ id: nodeIdFromPublicKey(random.bytes(32)), seq: 1 }));
}
