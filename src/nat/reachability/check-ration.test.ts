import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fakeId } from "../../../test/support/fake-link.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { Failure } from "../../core/index.ts";
import { CheckRation, MAX_AT_ONCE } from "./check-ration.ts";

describe("CheckRation", () => {
  test("serves one node a few times, and again later", async () => {
    const { ration, clock } = lab();
    const served = () => count(100, () => ration.begin(fakeId(1), "20.0.0.1", 8088)[Symbol.dispose]());
    assert.equal(served(), 8);
    await clock.advance(60_000);
    assert.equal(served(), 4);
  });

  test("lets nobody scan an address, whatever keys he makes", () => {
    const { ration } = lab();
    const ports = count(200, (n) => ration.begin(fakeId(n), "20.0.0.1", 2_000 + n)[Symbol.dispose]());
    assert.equal(ports, 8);
  });

  test("counts all addresses of an IPv6 network for one", async () => {
    const { ration, clock } = lab();
    let served = 0;
    for (let n = 1; n < 100; n++) {
      served += count(1, () => ration.begin(fakeId(n), `2a00::${n.toString(16)}`, 8088)[Symbol.dispose]());
      await clock.advance(100);
    }
    assert.equal(served, 16);
  });

  test("dials a few at once, and says when it is busy", () => {
    const { ration } = lab();
    const running = Array.from({ length: MAX_AT_ONCE }, (_, n) => ration.begin(fakeId(n), `20.0.${n}.1`, 8088));
    const more = () => ration.begin(fakeId(99), "20.9.9.9", 8088);
    assert.throws(more, (error) => error instanceof Failure && error.code === "busy");
    running[0]?.[Symbol.dispose]();
    more();
  });

  test("dials so often in all, and no more", () => {
    const { ration } = lab();
    const served = count(100, (n) => ration.begin(fakeId(n), `20.${n}.0.1`, 8088)[Symbol.dispose]());
    assert.equal(served, 32);
  });
});

function lab() {
  const clock = new VirtualClock();
  return { clock, ration: new CheckRation(clock) };
}

/** How many of them were not refused. */
function count(times: number, work: (n: number) => void): number {
  let done = 0;
  for (let n = 1; n <= times; n++) {
    try {
      work(n);
      done++;
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
    }
  }
  return done;
}
