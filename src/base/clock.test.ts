import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "./clock.ts";

describe("systemClock", () => {
  test("takes a moment that has passed for now, without a word", async () => {
    const warnings: string[] = [];
    const onWarning = ({ name }: Error) => void warnings.push(name);
    process.on("warning", onWarning);
    await systemClock.sleep(-1, new AbortController().signal);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("warning", onWarning);
    assert.deepEqual(warnings, []);
  });
});
