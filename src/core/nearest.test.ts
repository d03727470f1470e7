import assert from "node:assert/strict";
import { test } from "node:test";
import { editDistance, nearest } from "./nearest.ts";

test("counts slips of the finger", () => {
  assert.deepEqual(
    [
      ["ls", "ls"],
      ["sl", "ls"],
      ["staus", "status"],
      ["pingg", "ping"],
      ["", "abc"],
      ["speed", "invite"],
    ].map(([a = "", b = ""]) => editDistance(a, b)),
    [0, 1, 1, 1, 3, 6],
  );
});

test("suggests what is near, and nothing where nothing is", () => {
  const words = ["ls", "status", "stop", "ping"];
  assert.deepEqual(
    ["sl", "statsu", "stip", "pong", "xylophone"].map((word) => nearest(word, words)),
    ["ls", "status", "stop", "ping", undefined],
  );
});
