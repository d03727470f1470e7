import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { SignedNode } from "../../test/support/signed-node.ts";
import { Failure } from "./errors.ts";
import { MAX_BODY_BYTES, MAX_SEQ, type NodeRecord, readRecord, type SignedRecord, verifyRecord } from "./record.ts";

const node = new SignedNode(1);
const other = new SignedNode(2);

describe("a record", () => {
  test("reads as it was written, whatever it says", () => {
    fc.assert(
      fc.property(fields, (said) => {
        assert.deepEqual(verifyRecord(node.sign(said)), node.record(said));
      }),
    );
  });

  test("is no record with any one bit flipped, in what it says or in its signature", () => {
    const { body, signature } = node.sign();
    for (let bit = 0; bit < body.length * 8; bit++)
      refuses({ body: flipped(Buffer.from(body), bit).toString("utf8"), signature });
    for (let bit = 0; bit < 64 * 8; bit++)
      refuses({ body, signature: flipped(Buffer.from(signature, "base64url"), bit).toString("base64url") });
  });

  test("is no record when it is cut off anywhere", () => {
    const { body, signature } = node.sign();
    for (let end = 0; end < body.length; end++) refuses({ body: body.slice(0, end), signature });
  });

  test("is not another key's: what it names must have signed it", () => {
    refuses({ body: JSON.stringify(node.record()), signature: other.sign(node.record()).signature });
    refuses({ ...node.sign(), body: JSON.stringify(other.record()) });
  });
});

describe("reading a record", () => {
  test("gives a record or the failure bad-record, whatever arrives", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json(), fc.string({ unit: "binary" })), (body) => {
        try {
          readRecord({ body, signature: "A".repeat(86) });
        } catch (error) {
          assert.ok(error instanceof Failure && error.code === "bad-record", String(error));
        }
      }),
    );
  });

  const wrong: Readonly<Record<string, object>> = {
    "a huge seq": { seq: MAX_SEQ + 1 },
    "no seq": { seq: undefined },
    "a seq that is no whole number": { seq: 1.5 },
    "a host name where an address belongs": { addresses: ["host.example"] },
    "an address with a port": { addresses: ["192.0.2.7:22"] },
    "five addresses": { addresses: Array.from({ length: 5 }, () => "192.0.2.7") },
    "a port that is none": { port: 65_536 },
    "a name with a control character": { name: "a\u001b[31m" },
    "a name written from right to left": { name: "a\u202eb" },
    "a name of 33 characters": { name: "x".repeat(33) },
    "no name": { name: "" },
    "a line end in its words": { info: "a\nb" },
    "a GPU with an invisible name": {
      resources: { ...node.record().resources, gpus: [{ model: "a\u200bb", memoryBytes: 1 }] },
    },
    "a key that is none": { id: "attic" },
    "another version of records": { v: 2 },
    "a field that nobody knows": { latency: 1 },
  };
  for (const [what, change] of Object.entries(wrong)) {
    test(`refuses ${what}`, () => refusesToRead(JSON.stringify({ ...node.record(), ...change })));
  }

  test("refuses one byte too many, before it reads them", () => {
    const roomy = JSON.stringify(node.record({ info: "x".repeat(200) }));
    const padded = (bytes: number) => roomy.replace("{", `{${" ".repeat(bytes - roomy.length)}`);
    assert.equal(readRecord({ body: padded(MAX_BODY_BYTES), signature: "" }).info.length, 200);
    refusesToRead(padded(MAX_BODY_BYTES + 1));
  });
});

const fields: fc.Arbitrary<Partial<NodeRecord>> = fc.record({
  seq: fc.integer({ min: 1, max: MAX_SEQ }),
  name: fc.stringMatching(/^[a-z\u00e0-\u00ff][a-z0-9 \u00e0-\u00ff-]{0,15}$/u),
  addresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 4 }),
  port: fc.integer({ min: 0, max: 65_535 }),
  via: fc.constantFrom([], [other.id]),
  labels: fc.array(fc.stringMatching(/^[a-z0-9][a-z0-9=._-]{0,9}$/), { maxLength: 4 }),
  info: fc.stringMatching(/^[a-zA-Z0-9 ,.]{0,100}$/),
  lends: fc.boolean(),
});

function refuses(signed: SignedRecord): void {
  assert.throws(() => verifyRecord(signed), { code: "bad-record" });
}

/** Whoever signed it. */
function refusesToRead(body: string): void {
  assert.throws(() => readRecord({ body, signature: "" }), { code: "bad-record" });
}

function flipped(bytes: Buffer, bit: number): Buffer {
  const copy = Buffer.from(bytes);
  copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
  return copy;
}
