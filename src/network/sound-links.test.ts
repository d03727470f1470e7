import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { SoundLinks } from "./sound-links.ts";

const { signal } = new AbortController();

describe("SoundLinks", () => {
  test("passes over a link that says nothing for two seconds, until it speaks again", async () => {
    const clock = new VirtualClock();
    const link = new FakeLink({ clock, rttMs: 5_000 });
    const sound = new SoundLinks(clock);
    const first = sound.isSound(link, signal);
    await clock.advance(2_000);
    assert.equal(await first, false);
    await clock.advance(3_000);
    assert.equal(await sound.isSound(link, signal), true);
  });

  test("finds the best of several that answers, however many are dead before it", async () => {
    const clock = new VirtualClock();
    const links = [undefined, undefined, undefined, 20, 20].map((rttMs) => new FakeLink({ clock, rttMs: () => rttMs }));
    const sound = new SoundLinks(clock);
    const first = sound.first(links, signal);
    await clock.advance(2_620);
    assert.equal(await first, links[3]);
    assert.equal(links[4]?.pings, 0, "who is not needed is not asked");
    const slow = [800, 20].map((rttMs) => new FakeLink({ clock, rttMs }));
    const better = sound.first(slow, signal);
    await clock.advance(800);
    assert.equal(await better, slow[0], "slow is not dead");
    assert.equal(await sound.first([], signal), undefined);
  });

  test("doubts a link until it answers, however late", async () => {
    const clock = new VirtualClock();
    const link = new FakeLink({ clock, rttMs: 3_000 });
    const sound = new SoundLinks(clock);
    sound.doubt(link);
    await clock.advance(2_900);
    assert.equal(sound.isDoubted(link), true);
    await clock.advance(100);
    assert.equal(sound.isDoubted(link), false);
    assert.equal(await sound.isSound(link, signal), true);
    assert.equal(clock.sleeperCount, 0);
  });
});
