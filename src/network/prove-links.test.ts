import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, fakeId } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import type { Link, Path } from "./link.ts";
import { type ProofDeps, proveLinks } from "./prove-links.ts";

const { signal } = new AbortController();

class TcpLink extends FakeLink {
  override readonly path: Path;

  constructor(clock: VirtualClock, local: string, rttMs?: number) {
    super({ clock, rttMs: () => rttMs });
    this.path = { kind: "tcp4", remote: "20.0.0.1:8088", local };
  }
}

describe("proveLinks", () => {
  test("ends the links that do not answer, and no other", async () => {
    const clock = new VirtualClock();
    const slow = new FakeLink({ clock, peer: fakeId(1), rttMs: 2_000 });
    const dead = new FakeLink({ clock, peer: fakeId(2), rttMs: () => undefined });
    const gone = new FakeLink({ clock, peer: fakeId(3) });
    gone.close();
    const proving = proveLinks([slow, dead, gone], { ...changed(clock), here: [] }, signal);
    await clock.advance(2_500);
    assert.equal(await proving, 2);
    assert.deepEqual([slow.open, dead.open, clock.sleeperCount], [true, false, 0]);
  });

  test("waits no longer than a second for one that ends at an address that is gone", async () => {
    const clock = new VirtualClock();
    const [stays, left, back] = [
      new TcpLink(clock, "20.0.0.2"),
      new TcpLink(clock, "20.0.0.3"),
      new TcpLink(clock, "20.0.0.3", 900),
    ];
    const proving = proveLinks([stays, left, back], changed(clock), signal);
    await clock.advance(1_000);
    assert.deepEqual([stays.open, left.open, back.open], [true, false, true]);
    await clock.advance(1_500);
    assert.equal(await proving, 1);
    assert.equal(stays.open, true);
  });

  test("doubts one that has lost nothing, and ends it after a sleep alone", async () => {
    const clock = new VirtualClock();
    const [slow, punched] = [new TcpLink(clock, "20.0.0.2"), new FakeLink({ clock, rttMs: () => undefined })];
    const doubted: Link[] = [];
    const deps = { ...changed(clock), doubt: (link: Link) => void doubted.push(link) };
    const came = proveLinks([slow, punched], { ...deps, move: "came" }, signal);
    await clock.advance(2_500);
    assert.deepEqual([await came, slow.open, punched.open, doubted], [0, true, true, [slow, punched]]);
    const left = proveLinks([slow, punched], deps, signal);
    await clock.advance(2_500);
    assert.deepEqual([await left, slow.open, punched.open], [1, true, false]);
    const slept = proveLinks([slow], { ...deps, move: "slept" }, signal);
    await clock.advance(2_500);
    assert.deepEqual([await slept, slow.open], [1, false]);
  });

  test("takes any byte that arrives for an answer", async () => {
    const clock = new VirtualClock();
    const full = new FakeLink({ clock, rttMs: () => undefined });
    const proving = proveLinks([full], { ...changed(clock), move: "slept" }, signal);
    await clock.advance(1_000);
    full.bytesRead += 1_400;
    await clock.advance(1_500);
    assert.deepEqual([await proving, full.open], [0, true]);
  });

  test("ends with its signal, and then ends no link", async () => {
    const clock = new VirtualClock();
    const link = new FakeLink({ clock, rttMs: () => undefined });
    const ending = new AbortController();
    const proving = proveLinks([link], { ...changed(clock), here: [] }, ending.signal);
    ending.abort();
    await assert.rejects(proving, { name: "AbortError" });
    assert.equal(link.open, true);
  });
});

/** One of its addresses went, and one is still there. */
function changed(clock: VirtualClock): ProofDeps {
  return { clock, here: ["20.0.0.2"], move: "changed", doubt: () => undefined };
}
