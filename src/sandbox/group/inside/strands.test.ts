import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { withNames } from "./names.ts";
import {
  decodeTarget,
  encodePiece,
  encodeRoom,
  encodeTarget,
  MAX_CONTENT_BYTES,
  PieceReader,
  strandKinds,
} from "./strands.ts";

describe("pieces of strands", () => {
  test("arrive as they were sent, however they are cut", () => {
    const sent = Buffer.concat([
      encodePiece("open", 1, encodeTarget({ place: 63, port: 65_535 })),
      encodePiece("data", 2 ** 32 - 1, Buffer.alloc(MAX_CONTENT_BYTES, 7)),
      encodePiece("room", 5, encodeRoom(2 ** 18)),
      encodePiece("end", 5),
    ]);
    for (const size of [1, 7, 4_096, sent.length]) {
      const reader = new PieceReader();
      const pieces = Array.from({ length: Math.ceil(sent.length / size) }, (_, at) => [
        ...reader.take(sent.subarray(at * size, (at + 1) * size)),
      ]).flat();
      assert.deepEqual(
        pieces.map(({ kind, strand, content }) => [kind, strand, content.length]),
        [
          ["open", 1, 4],
          ["data", 2 ** 32 - 1, MAX_CONTENT_BYTES],
          ["room", 5, 4],
          ["end", 5, 0],
        ],
      );
      assert.deepEqual(decodeTarget(pieces[0]?.content ?? Buffer.alloc(0)), { place: 63, port: 65_535 });
    }
  });

  test("of unknown kinds and lengths beyond the limit are refused", () => {
    const long = encodePiece("data", 1);
    long.writeUInt32BE(MAX_CONTENT_BYTES + 1, 5);
    const strange = encodePiece("data", 1);
    strange.writeUInt8(Math.max(...Object.values(strandKinds)) + 1, 0);
    for (const bytes of [long, strange]) assert.throws(() => [...new PieceReader().take(bytes)], RangeError);
    assert.throws(() => encodePiece("data", 1, Buffer.alloc(MAX_CONTENT_BYTES + 1)), RangeError);
    assert.throws(() => decodeTarget(Buffer.alloc(3)), RangeError);
  });
});

describe("names in /etc/hosts", () => {
  const before = "127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 box1\n";
  const lines = [
    { address: "127.77.0.1", name: "box1" },
    { address: "127.77.0.2", name: "box2" },
  ];

  test("come first, and what says otherwise of one is put aside", () => {
    assert.equal(
      withNames(before, "farm", lines),
      "# p2prc group tunnel farm: begin\n127.77.0.1\tbox1\n127.77.0.2\tbox2\n# p2prc group tunnel farm: end\n" +
        "127.0.0.1 localhost\n::1 localhost ip6-localhost\n#p2prc# 127.0.1.1 box1\n",
    );
  });

  test("are replaced, and leave no trace", () => {
    const once = withNames(before, "farm", lines);
    assert.equal(withNames(once, "farm", lines), once);
    assert.equal(withNames(once, "farm", []), before);
    assert.equal(withNames(before, "farm", []), before);
  });

  test("of two groups stand beside each other", () => {
    const two = withNames(withNames(before, "farm", lines), "herd", [{ address: "127.77.1.1", name: "box1" }]);
    const one = withNames(two, "farm", []);
    assert.match(one, /127\.77\.1\.1\tbox1[\s\S]*#p2prc# 127\.0\.1\.1 box1/);
    assert.equal(withNames(one, "herd", []), before);
  });
});
