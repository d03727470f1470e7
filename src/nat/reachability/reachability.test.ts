import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, fakeId, replyOf } from "../../../test/support/fake-link.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { Scope, seededRandom, silentLog } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { CheckReply } from "./contract.ts";
import { type Helper, Reachability } from "./reachability.ts";
import type { Candidate } from "./verdict.ts";

describe("Reachability", () => {
  test("believes two helpers on different networks", async () => {
    await using lab = new Lab();
    await lab.clock.advance(1_000);
    assert.equal(lab.reachability.reachable.nat, "mapped");
    assert.deepEqual(lab.reachability.reachable.addresses, ["20.7.7.7"]);
    assert.equal(lab.reachability.needsRelay, false);
  });

  test("asks nobody while it does not lend", async () => {
    await using lab = new Lab({ lends: false });
    await lab.clock.advance(600_000);
    assert.deepEqual([lab.asked.length, lab.reachability.needsRelay], [0, false]);
  });

  test("needs relays once others said that they do not get in", async () => {
    await using lab = new Lab();
    lab.answer = () => reply("silent");
    assert.equal(lab.reachability.needsRelay, false);
    await lab.clock.advance(1_000);
    assert.deepEqual([lab.reachability.reachable.addresses, lab.reachability.needsRelay], [[], true]);
  });

  test("asks less and less often while nothing changes, down to once an hour", async () => {
    await using lab = new Lab();
    await lab.clock.advance(10 * 60_000);
    const early = lab.asked.length;
    assert.ok(early >= 4 && early <= 6, `${early}`);
    await lab.clock.advance(24 * 3_600_000);
    const aDay = lab.asked.length - early;
    assert.ok(aDay <= 60, `${aDay} in a day`);
  });

  test("asks again at once when something changed", async () => {
    await using lab = new Lab();
    await lab.clock.advance(1_000);
    lab.answer = () => reply("refused");
    lab.reachability.recheck({ forget: false });
    await lab.clock.advance(1_000);
    assert.equal(lab.reachability.reachable.addresses.length, 0);
  });

  test("keeps what two found when one of them is gone, until something changes", async () => {
    await using lab = new Lab();
    await lab.clock.advance(1_000);
    lab.helpers = lab.helpers.slice(0, 1);
    await lab.clock.advance(600_000);
    lab.reachability.recheck({ forget: false, stands: true });
    await lab.clock.advance(1_000);
    assert.deepEqual([lab.reachability.reachable.addresses, lab.reachability.needsRelay], [["20.7.7.7"], false]);
    lab.reachability.recheck({ forget: false });
    await lab.clock.advance(1_000);
    assert.deepEqual([lab.reachability.reachable.addresses, lab.reachability.needsRelay], [[], true]);
  });

  test("asks again when a second helper turns up", async () => {
    await using lab = new Lab();
    const [first, second] = lab.helpers as [Helper, Helper];
    lab.helpers = [first];
    await lab.clock.advance(30_000);
    assert.equal(lab.reachability.reachable.nat, "unknown");
    lab.helpers = [first, second];
    await lab.clock.advance(3_000);
    assert.equal(lab.reachability.reachable.nat, "mapped");
  });

  test("asks three of a hundred, on networks as different as can be", async () => {
    await using lab = new Lab();
    const crowd = Array.from({ length: 98 }, (_, n) => helper(n + 10, `21.0.0.${n}`, "crowd"));
    lab.helpers = [...crowd, ...lab.helpers];
    await lab.clock.advance(1_000);
    assert.equal(lab.asked.length, 3);
    assert.equal(lab.reachability.reachable.nat, "mapped");
  });

  test("leaves out who sees it at an address of the LAN, or lives in the same house", async () => {
    await using lab = new Lab();
    lab.answer = () => ({ ...reply("open"), observed: "192.168.0.2" });
    await lab.clock.advance(1_000);
    assert.equal(lab.reachability.verdict.askedOf, 0);
    lab.answer = () => reply("open");
    lab.helpers = [helper(8, "20.7.7.7", "a"), helper(9, "20.7.7.7", "b")];
    lab.reachability.recheck({ forget: false });
    await lab.clock.advance(1_000);
    assert.equal(lab.reachability.verdict.askedOf, 0);
  });

  test("is not held up by a helper that is silent, refuses, or talks nonsense", async () => {
    await using lab = new Lab();
    lab.helpers = [...lab.helpers, helper(7, "22.0.0.1", "c")];
    lab.answer = (who) => {
      if (who.id !== fakeId(7)) return reply("open");
      return { observed: "my house", tcp: { outcome: "open", ms: -1 } } as unknown as CheckReply;
    };
    await lab.clock.advance(1_000);
    assert.deepEqual([lab.reachability.reachable.nat, lab.reachability.verdict.askedOf], ["mapped", 2]);
    lab.fails = new Failure("unreachable", "gone");
    lab.reachability.recheck({ forget: false });
    await lab.clock.advance(1_000);
    assert.equal(lab.reachability.verdict.askedOf, 0);
    assert.equal(lab.reachability.needsRelay, true);
  });

  test("forgets what it knew when it listens elsewhere, and keeps its relays meanwhile", async () => {
    await using lab = new Lab();
    lab.answer = () => reply("silent");
    await lab.clock.advance(1_000);
    lab.reachability.recheck({ forget: true });
    assert.deepEqual([lab.reachability.verdict.askedOf, lab.reachability.needsRelay], [0, true]);
  });

  test("closes every link that it opened, and ends when it is told to", async () => {
    const lab = new Lab();
    await lab.clock.advance(1_000);
    assert.deepEqual(
      lab.links.map((link) => link.open),
      [false, false],
    );
    await lab[Symbol.asyncDispose]();
    assert.equal(lab.clock.sleeperCount, 0);
  });
});

function helper(number: number, host: string, place: string): Helper {
  return { id: fakeId(number), endpoint: { host, port: 8088 }, family: 4, place };
}

function reply(outcome: CheckReply["tcp"]["outcome"]): CheckReply {
  return { observed: "20.7.7.7", tcp: { outcome, ms: 1 } };
}

/** A node behind a NAT at 20.7.7.7, and helpers that answer as the test says. */
class Lab implements AsyncDisposable {
  readonly clock = new VirtualClock();
  readonly scope = new Scope();
  readonly asked: Helper[] = [];
  readonly links: FakeLink[] = [];
  lends: boolean;
  helpers: readonly Helper[] = [helper(1, "20.1.0.1", "a"), helper(2, "20.2.0.1", "b")];
  answer: (who: Helper) => CheckReply = () => reply("open");
  fails: Failure | undefined;
  readonly reachability: Reachability;

  constructor({ lends = true } = {}) {
    this.lends = lends;
    const candidate: Candidate = { family: 4, from: undefined, port: 8088, udp: undefined, mapped: true };
    this.reachability = new Reachability({
      lends: () => this.lends,
      self: () => ({ told: [], port: 8088, udpPort: undefined, udpMapping: undefined, isBehindNat: true }),
      ready: async () => {},
      candidates: () => [candidate],
      helpers: () => this.helpers,
      isPublic: (address) => address.startsWith("20."),
      open: async ({ expect }) => {
        if (this.fails !== undefined) throw this.fails;
        const who = this.helpers.find(({ id }) => id === expect);
        if (who === undefined) throw new Error("nobody was named");
        this.asked.push(who);
        const link = new FakeLink({ clock: this.clock, peer: expect, answer: () => replyOf(200, this.answer(who)) });
        this.links.push(link);
        return link;
      },
      clock: this.clock,
      random: seededRandom(1),
      log: silentLog,
    });
    this.scope.spawn((signal) => this.reachability.run(signal));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.scope.close();
  }
}
