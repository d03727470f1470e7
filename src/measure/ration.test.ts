import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { knownLimits, MAX_ENTRIES, Ration, strangerLimits } from "./ration.ts";

const HOUR = 3_600_000;
const MB = 1e6;

describe("the ration of strangers", () => {
  test("is one test an hour", async () => {
    const clock = new VirtualClock();
    const ration = new Ration(clock, strangerLimits);
    ration.begin("ann");
    await clock.advance(HOUR - 60_000);
    assert.throws(() => ration.begin("ann"), { code: "too-often", hint: "try again in 1 min" });
    ration.begin("bob");
    await clock.advance(60_000);
    ration.begin("ann");
  });

  test("is 200 MB in any 24 hours, exactly", async () => {
    const clock = new VirtualClock();
    const ration = new Ration(clock, strangerLimits);
    ration.begin("ann").bytes = 100 * MB;
    await clock.advance(20 * HOUR);
    ration.begin("ann").bytes = 60 * MB;
    assert.equal(ration.bytesLeft("ann"), 40 * MB);
    ration.begin("bob");
    await clock.advance(HOUR);
    ration.begin("ann").bytes = 39.5 * MB;
    await clock.advance(HOUR);
    assert.throws(() => ration.begin("ann"), { code: "too-often", hint: "try again in 2 h" });
    await clock.advance(2 * HOUR);
    ration.begin("ann");
    assert.equal(ration.bytesLeft("ann"), 100.5 * MB);
  });

  test("is 2 GB a day for all of them together", () => {
    const ration = new Ration(new VirtualClock(), strangerLimits);
    for (let i = 0; i < 20; i++) ration.begin(`stranger ${i}`).bytes = 100 * MB;
    assert.throws(() => ration.begin("one more"), { code: "too-often", hint: "try again in 24 h" });
  });

  test("remembers no more tests than its cap, and serves none beyond", () => {
    const ration = new Ration(new VirtualClock(), strangerLimits);
    for (let i = 0; i < MAX_ENTRIES; i++) ration.begin(`stranger ${i}`);
    assert.throws(() => ration.begin("one more"), { code: "too-often" });
  });
});

describe("the ration of those who are known", () => {
  test("is 20 tests an hour, of any size", async () => {
    const clock = new VirtualClock();
    const ration = new Ration(clock, knownLimits);
    for (let i = 0; i < 20; i++) {
      ration.begin("ann").bytes = 100 * MB;
      await clock.advance(60_000);
    }
    assert.throws(() => ration.begin("ann"), { code: "too-often", hint: "try again in 40 min" });
    await clock.advance(40 * 60_000);
    ration.begin("ann");
  });
});
