import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeLastWord, formatLastWord, type LastWord, LastWords } from "./last-word.ts";

const MIB = 1024 ** 2;
const word: LastWord = { what: "bytes", whose: "stranger", limit: MIB / 2 };

describe("the last word of a relay", () => {
  test("is found behind whatever passed, in however many pieces it comes", () => {
    const all = Buffer.concat([Buffer.alloc(1_000, 0x17), encodeLastWord(word)]);
    for (const size of [1, 7, 63, 64, 65, 1_000, 2_000]) {
      const words = new LastWords();
      for (let at = 0; at < all.length; at += size) words.add(all.subarray(at, at + size));
      assert.deepEqual(words.word, word, `in pieces of ${size}`);
    }
  });

  test("fits for every limit there may be", () => {
    for (const whose of ["trusted", "address", "strangers", "all"] as const) {
      const words = new LastWords();
      const long: LastWord = { what: "bytes", whose, limit: 999_999_999_999_999 };
      words.add(encodeLastWord(long));
      assert.deepEqual(words.word, long);
    }
  });

  test("is none where bytes follow, or where the words are others", () => {
    for (const said of [
      "",
      "p2prc-relay-ends bytes stranger 524288\nx",
      "p2prc-relay-ends bytes nobody 524288\n",
      "p2prc-relay-ends \u001b[31m stranger 5\n",
      "p2prc-relay-ends bytes stranger 9999999999999999\n",
      "p2prc-relay-ends bytes stranger 5",
    ]) {
      const words = new LastWords();
      words.add(Buffer.from(said));
      assert.equal(words.word, undefined, said);
    }
  });

  test("says to people what was used up", () => {
    const said = [
      word,
      { what: "time", whose: "guest", limit: 12 * 3_600_000 } as const,
      { what: "day", whose: "strangers", limit: 2048 * MIB } as const,
    ].map(formatLastWord);
    assert.deepEqual(said, [
      "it passes on 512KiB at a time for a stranger, and that was all",
      "it passes a link on for 12h for a guest, and that is over",
      "it passes on 2GiB a day for all strangers, and that is used up",
    ]);
  });
});
