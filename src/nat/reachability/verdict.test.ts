import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fakeId } from "../../../test/support/fake-link.ts";
import {
  type Answer,
  type Candidate,
  judge,
  needsRelay,
  noVerdict,
  type Self,
  toRecord,
  type Verdict,
} from "./verdict.ts";

const FOUR = "20.0.0.2";
const SIX = "2a00::2";
const EXTERNAL = "20.7.7.7";
const own: Candidate = { family: 4, from: FOUR, port: 8088, udp: 8088, mapped: false };
const behind: Candidate = { family: 4, from: undefined, port: 8088, udp: 8088, mapped: true };
const self: Self = { told: [SIX, FOUR], port: 8088, udpPort: 8088, udpMapping: undefined, isBehindNat: false };

describe("judge", () => {
  test("calls an address verified once two networks got through", () => {
    const [address] = judge([{ candidate: own, answers: [open("a"), open("b")] }]).addresses;
    assert.deepEqual([address?.address, address?.finding, address?.reachedBy], [FOUR, "verified", 2]);
  });

  test("takes two nodes on one network for one", () => {
    const [address] = judge([{ candidate: own, answers: [open("a"), { ...open("a"), by: fakeId(9) }] }]).addresses;
    assert.equal(address?.finding, "unsure");
  });

  test("is not led astray by one liar", () => {
    const answers = [open("a"), open("b"), answer("c", "refused")];
    assert.equal(judge([{ candidate: own, answers }]).addresses[0]?.finding, "verified");
    const refuted = [answer("a", "silent"), answer("b", "silent"), open("c")];
    assert.equal(judge([{ candidate: own, answers: refuted }]).addresses[0]?.finding, "silent");
  });

  test("tells a refusal from silence", () => {
    const refused = judge([{ candidate: own, answers: [answer("a", "refused"), answer("b", "refused")] }]);
    assert.equal(refused.addresses[0]?.finding, "refused");
    assert.equal(judge([{ candidate: own, answers: [] }]).addresses[0]?.finding, "untried");
  });

  test("counts only those who saw the address that most saw, so that nobody can name another's", () => {
    const answers = [
      { ...open("a"), observed: "20.9.9.9" },
      { ...open("b"), observed: EXTERNAL },
    ];
    const { addresses } = judge([{ candidate: behind, answers }]);
    assert.equal(addresses[0]?.finding, "unsure");
  });

  test("notices that others see it at different addresses", () => {
    const answers = [
      { ...answer("a", "silent"), observed: "20.9.9.9" },
      { ...answer("b", "silent"), observed: EXTERNAL },
    ];
    assert.equal(judge([{ candidate: behind, answers }]).differs, true);
    assert.equal(judge([{ candidate: own, answers: [open("a"), open("b")] }]).differs, false);
  });
});

describe("what was verified before", () => {
  test("stands when one helper of two is gone", () => {
    const now = judge([{ candidate: behind, answers: [seen("a")] }], earlier(verified));
    const gone = judge([{ candidate: behind, answers: [] }], earlier(verified));
    for (const verdict of [now, gone]) {
      const record = toRecord(verdict, inside);
      assert.deepEqual(record, { addresses: [EXTERNAL], port: 8088, udpPort: 8088, nat: "mapped" });
      assert.equal(needsRelay(record, { verdict, isBehindNat: true }), false);
    }
  });

  test("is told until two networks refute it, with a relay beside it from the first on", () => {
    const doubted = judge([{ candidate: behind, answers: [{ ...seen("a"), tcp: "silent" }] }], earlier(verified));
    assert.deepEqual(toRecord(doubted, inside).addresses, [EXTERNAL]);
    assert.equal(needsRelay(toRecord(doubted, inside), { verdict: doubted, isBehindNat: true }), true);
    const still = judge([{ candidate: behind, answers: [] }], earlier(doubted));
    assert.equal(needsRelay(toRecord(still, inside), { verdict: still, isBehindNat: true }), true);
    const silent = ["a", "b"].map((place): Answer => ({ ...seen(place), tcp: "silent", udp: "silent" }));
    const refuted = judge([{ candidate: behind, answers: silent }], earlier(still));
    assert.deepEqual(toRecord(refuted, inside), { addresses: [], port: 8088, udpPort: 0, nat: "unknown" });
  });

  test("ends when two networks see this machine elsewhere, or its router opens another port", () => {
    const elsewhere = ["a", "b"].map((place): Answer => ({ ...seen(place), observed: "20.9.9.9" }));
    const moved = judge([{ candidate: behind, answers: elsewhere }], earlier(verified));
    assert.deepEqual(toRecord(moved, inside).addresses, ["20.9.9.9"]);
    const other = judge([{ candidate: { ...behind, port: 8090 }, answers: [seen("a")] }], earlier(verified));
    assert.deepEqual(toRecord(other, inside).addresses, []);
    const unasked = judge([{ candidate: { ...behind, mapped: false }, answers: [seen("a")] }], earlier(verified));
    assert.deepEqual(toRecord(unasked, inside).addresses, []);
  });

  const inside: Self = { told: [], port: 8088, udpPort: 8088, udpMapping: undefined, isBehindNat: true };
  const earlier = (verdict: Verdict) => ({ verdict, at: 0 });
  const seen = (place: string): Answer => ({ ...open(place), observed: EXTERNAL, udp: "open" });
  const verified = judge([{ candidate: { ...behind }, answers: [seen("a"), seen("b")] }]);
});

describe("toRecord", () => {
  test("keeps own addresses where there was nobody to ask", () => {
    const record = toRecord(noVerdict, self);
    assert.deepEqual(record, { addresses: [SIX, FOUR], port: 8088, udpPort: 8088, nat: "unknown" });
    assert.equal(needsRelay(record, { verdict: noVerdict, isBehindNat: false }), false);
  });

  test("leaves out what two networks refuted, and keeps what one did", () => {
    const verdict = judge([{ candidate: own, answers: [answer("a", "silent"), answer("b", "silent")] }]);
    assert.deepEqual(toRecord(verdict, self).addresses, [SIX]);
    assert.equal(needsRelay(toRecord(verdict, self), { verdict, isBehindNat: true }), true);
    assert.equal(needsRelay(toRecord(verdict, self), { verdict, isBehindNat: false }), false);
    const doubt = judge([{ candidate: own, answers: [answer("a", "silent")] }]);
    assert.deepEqual(toRecord(doubt, self).addresses, [SIX, FOUR]);
    const fourOnly = toRecord(doubt, { ...self, told: [FOUR] });
    assert.equal(needsRelay(fourOnly, { verdict: doubt, isBehindNat: false }), true);
  });

  test("believes a mapping once it is verified, not before", () => {
    const inside: Self = { ...self, told: [] };
    const seen = (place: string): Answer => ({ ...open(place), observed: EXTERNAL, udp: "open" });
    const one = judge([{ candidate: behind, answers: [seen("a")] }]);
    assert.deepEqual(toRecord(one, inside), { addresses: [], port: 8088, udpPort: 0, nat: "unknown" });
    const two = judge([{ candidate: behind, answers: [seen("a"), seen("b")] }]);
    assert.deepEqual(toRecord(two, inside), { addresses: [EXTERNAL], port: 8088, udpPort: 8088, nat: "mapped" });
    assert.equal(needsRelay(toRecord(two, inside), { verdict: two, isBehindNat: true }), false);
  });

  test("tells of another external port where no address has the one that it listens on", () => {
    const answers = ["a", "b"].map((place) => ({ ...open(place), observed: EXTERNAL }));
    const verdict = judge([{ candidate: { ...behind, port: 8090 }, answers }]);
    const { addresses, port } = toRecord(verdict, { ...self, told: [] });
    assert.deepEqual([addresses, port], [[EXTERNAL], 8090]);
    assert.deepEqual(toRecord(verdict, { ...self, told: [SIX] }).addresses, [SIX]);
  });

  test("says what the DHT found out where nobody gets through by TCP", () => {
    const answers = ["a", "b"].map((place) => ({ ...answer(place, "silent"), observed: EXTERNAL }));
    const verdict = judge([{ candidate: behind, answers }]);
    const nat = (udpMapping: Self["udpMapping"]) => toRecord(verdict, { ...self, told: [], udpMapping }).nat;
    assert.deepEqual(
      [nat("cone"), nat("symmetric"), nat("blocked"), nat(undefined)],
      ["cone", "symmetric", "blocked", "unknown"],
    );
  });

  test("asks IPv4 alone how a NAT is passed", () => {
    const six: Candidate = { family: 6, from: SIX, port: 8088, udp: undefined, mapped: false };
    const answersOf = (observed: string) => ["a", "b"].map((place): Answer => ({ ...open(place), observed }));
    const overSix = { candidate: six, answers: answersOf(SIX) };
    const nat = (verdict: Verdict, isBehindNat: boolean) =>
      toRecord(verdict, { ...self, told: [SIX], isBehindNat }).nat;
    assert.equal(nat(judge([overSix]), false), "none");
    assert.equal(nat(judge([overSix]), true), "unknown");
    assert.equal(nat(judge([overSix, { candidate: behind, answers: answersOf(EXTERNAL) }]), true), "mapped");
  });

  test("leaves the UDP port out where UDP does not get through", () => {
    const answers = ["a", "b"].map((place): Answer => ({ ...open(place), udp: "silent" }));
    assert.equal(toRecord(judge([{ candidate: own, answers }]), self).udpPort, 0);
  });
});

function open(place: string): Answer {
  return answer(place, "open");
}

function answer(place: string, tcp: Answer["tcp"]): Answer {
  return { by: fakeId(place.charCodeAt(0)), place, observed: FOUR, tcp, udp: undefined };
}
