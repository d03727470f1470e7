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
