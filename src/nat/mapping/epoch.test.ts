import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Epoch } from "./epoch.ts";

describe("Epoch", () => {
  for (const [what, readings, holds] of [
    [
      "a router that goes on",
      [
        [1_000, 0],
        [1_040, 40],
        [1_081, 80],
      ],
      true,
    ],
    [
      "a router that was rebooted",
      [
        [1_000, 0],
        [3, 40],
      ],
      false,
    ],
    [
      "a router that was rebooted long ago",
      [
        [1_000, 0],
        [1_500, 3_600],
      ],
      false,
    ],
    [
      "another router at the same address",
      [
        [1_000, 0],
        [90_000, 40],
      ],
      false,
    ],
    [
      "a clock that goes back at once",
      [
        [1_000, 0],
        [998, 0],
      ],
      false,
    ],
    [
      "a packet that was overtaken",
      [
        [1_000, 0],
        [999, 1],
      ],
      true,
    ],
  ] as const) {
    test(`${holds ? "believes" : "does not believe"} ${what}`, () => {
      const epoch = new Epoch();
      assert.equal(readings.map(([server, client]) => epoch.holds(server, client)).at(-1), holds);
    });
  }
});
