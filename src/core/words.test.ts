import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../base/index.ts";
import { parseLocalName, twoWords } from "./index.ts";
import { FIRST_WORDS, SECOND_WORDS } from "./words.ts";

test("a default name is two of 64 x 64 words, each fit for a name and none twice", () => {
  const words = [...FIRST_WORDS, ...SECOND_WORDS];
  assert.deepEqual([FIRST_WORDS.length, SECOND_WORDS.length, new Set(words).size], [64, 64, 128]);
  for (const word of words) assert.match(word, /^[a-z]{3,8}$/);
  const names = new Set(Array.from({ length: 200 }, (_, seed) => twoWords(seededRandom(seed))));
  assert.ok(names.size > 150, `${names.size} different names of 200`);
  for (const name of names) assert.equal(parseLocalName(name), name);
});
