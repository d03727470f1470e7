import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, fakeId } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { PROOF_MS, proveLinks } from "./prove-links.ts";

const { signal } = new AbortController();

describe("proveLinks", () => {
  test("ends the links that do not answer, and no other", async () => {
    const clock = new VirtualClock();
    const slow = new FakeLink({ clock, peer: fakeId(1), rttMs: 2_000 });
    const dead = new FakeLink({ clock, peer: fakeId(2), rttMs: () => undefined });
    const gone = new FakeLink({ clock, peer: fakeId(3) });
    gone.close();
    const proving = proveLinks([slow, dead, gone], clock, signal);
    await clock.advance(PROOF_MS);
    assert.equal(await proving, 2);
    assert.deepEqual([slow.open, dead.open, clock.sleeperCount], [true, false, 0]);
  });

  test("ends with its signal, and then ends no link", async () => {
    const clock = new VirtualClock();
    const link = new FakeLink({ clock, rttMs: () => undefined });
    const ending = new AbortController();
    const proving = proveLinks([link], clock, ending.signal);
    ending.abort();
    await assert.rejects(proving, { name: "AbortError" });
    assert.equal(link.open, true);
  });
});
