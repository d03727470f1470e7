import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { ProbeRation } from "./probe-ration.ts";

const MINUTE = 60_000;
const DAY = 86_400_000;

describe("ProbeRation", () => {
  test("allows an address and port once a minute", async () => {
    const lab = new Lab();
    assert.deepEqual([lab.take(), lab.take()], [true, false]);
    await lab.clock.advance(MINUTE);
    assert.equal(lab.take(), true);
  });

  test("allows it three times and then not for a day, whoever tells of it how often", async () => {
    const lab = new Lab();
    let taken = 0;
    for (let minute = 0; minute < 1_000; minute++) {
      if (lab.take()) taken++;
      await lab.clock.advance(MINUTE);
    }
    assert.equal(taken, 3);
    await lab.clock.advance(DAY);
    assert.equal(lab.take(), true);
  });

  test("allows ten a minute per machine, whatever the ports", async () => {
    const lab = new Lab();
    const tries = () =>
      Array.from({ length: 50 }, (_, port) => lab.take("20.0.0.1", 2_000 + port)).filter(Boolean).length;
    assert.equal(tries(), 10);
    await lab.clock.advance(MINUTE - 1);
    assert.equal(tries(), 0);
    await lab.clock.advance(1);
    assert.equal(tries(), 10);
  });

  test("takes a /64 for one machine", () => {
    const lab = new Lab();
    const tries = Array.from({ length: 50 }, (_, i) => lab.take(`2a00::${i + 1}`));
    assert.equal(tries.filter(Boolean).length, 10);
  });

  test("has no limit for what is near, nor for what answered", () => {
    const lab = new Lab();
    assert.deepEqual([lab.take("127.0.0.1"), lab.take("127.0.0.1")], [true, true]);
    lab.take("20.0.0.1");
    lab.ration.noteAnswer({ host: "20.0.0.1", port: 8088 });
    assert.equal(lab.take("20.0.0.1"), true);
  });

  test("remembers no more than so much", () => {
    const lab = new Lab();
    for (let i = 0; i < 40_000; i++) {
      lab.take(`20.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
      lab.ration.noteAnswer({ host: `30.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 1 });
    }
    assert.deepEqual(lab.ration.size, { endpoints: 16_384, hosts: 8192, answered: 16_384 });
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly ration = new ProbeRation({ clock: this.clock, isExempt: (host) => host.startsWith("127.") });

  take(host = "20.0.0.1", port = 8088): boolean {
    return this.ration.take({ host, port });
  }
}
