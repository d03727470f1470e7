import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fakeId } from "../../../test/support/fake-link.ts";
import type { MappedPorts, MappingState } from "../mapping/state.ts";
import { type Answer, type Candidate, judge, noVerdict, type Self, toRecord, type Verdict } from "./verdict.ts";
import { describeReach, type ReachFacts } from "./words.ts";

describe("describeReach", () => {
  test("paints the whole picture of a node behind an ordinary NAT", () => {
    const verdict = judge([
      { candidate: mapped, answers: ["a", "b"].map((place) => answer(place, "open", EXTERNAL)) },
      {
        candidate: { ...mapped, family: 6, from: SIX },
        answers: ["a", "b"].map((place) => answer(place, "silent", SIX)),
      },
    ]);
    const { findings, reachableBy } = describe_({ verdict, ports, told: [SIX], via: ["garage", "cellar"] });
    assert.deepEqual(
      findings.map(({ about, words }) => `${about}: ${words}`),
      [
        "NAT: passed, others reach this machine through the router's address",
        "UPnP: mapped 8088 tcp+udp, verified by 2 peers",
        "IPv6: yes, inbound blocked by your router",
      ],
    );
    assert.equal(findings[2]?.fix, "allow TCP 8088 in for IPv6 on the router to be reachable directly");
    assert.deepEqual(reachableBy, ["direct connections (IPv4)", "punching", "relay through garage and cellar"]);
  });

  test("says that a provider's NAT is in front of a router that did as it was told", () => {
    const { findings } = describe_({ verdict: through("silent"), ports: { ...ports, external: "100.64.0.7" } });
    assert.match(words(findings, "UPnP"), /but the provider has a NAT of its own in front \(CGNAT\)$/);
    assert.match(findings.find(({ about }) => about === "UPnP")?.fix ?? "", /public IPv4 address or IPv6/);
  });

  test("catches a router that names an address that nobody else sees", () => {
    const { findings } = describe_({ verdict: through("refused"), ports: { ...ports, external: "8.8.8.8" } });
    assert.match(words(findings, "UPnP"), /the router says its address is 8\.8\.8\.8, and others see 20\.7\.7\.7/);
  });

  test("says that a router lies about its address though it lets others in", () => {
    const { findings, reachableBy } = describe_({ verdict: through("open"), ports: { ...ports, external: "8.8.8.8" } });
    assert.match(words(findings, "UPnP"), /verified by 2 peers, though the router says its address is 8\.8\.8\.8$/);
    assert.deepEqual(reachableBy, ["direct connections (IPv4)", "punching"]);
  });

  test("does not call a mapping verified that one node alone got through", () => {
    const verdict = judge([{ candidate: mapped, answers: [answer("a", "open", EXTERNAL)] }]);
    const { findings, reachableBy } = describe_({ verdict, ports });
    assert.match(words(findings, "UPnP"), /not verified: 1 peer got in, and it takes two$/);
    assert.equal(words(findings, "NAT"), "not known yet, 1 peer got in and another one has to confirm it");
    assert.deepEqual(reachableBy, ["punching"]);
  });

  test("does not pass off an old verification as a new one", () => {
    const at = 1_000_000;
    const later = (answers: readonly Answer[], minutes = 10) => {
      const verdict = judge([{ candidate: mapped, answers }], { verdict: through("open"), at });
      return words(describe_({ verdict, ports, now: at + minutes * 60_000 }).findings, "UPnP");
    };
    const both = ["a", "b"].map((place) => answer(place, "open", EXTERNAL));
    assert.match(later(both), /, verified by 2 peers$/);
    assert.match(
      later([answer("a", "open", EXTERNAL)]),
      /, verified by 2 peers 10 min ago \(the last time only 1 peer could be asked, and got in\)$/,
    );
    assert.match(
      later([answer("a", "silent", EXTERNAL)], 180),
      /, verified by 2 peers 3 h ago \(the last time 1 peer did not get in\)$/,
    );
    assert.match(later([], 0), /, verified by 2 peers 1 min ago \(nobody answered the last time\)$/);
  });

  test("tells an IPv4 that does not get in from an IPv6 that does", () => {
    const six = {
      candidate: { ...mapped, family: 6, from: SIX } as const,
      answers: ["a", "b"].map((place) => answer(place, "open", SIX)),
    };
    const silent = ["a", "b"].map((place) => answer(place, "silent", EXTERNAL));
    const alone = describe_({ verdict: judge([six]), told: [SIX] });
    assert.match(words(alone.findings, "NAT"), /^not known yet, no node outside/);
    assert.deepEqual(alone.reachableBy, ["direct connections (IPv6)", "punching"]);
    const both = describe_({ verdict: judge([six, { candidate: mapped, answers: silent }]), told: [SIX] });
    assert.equal(words(both.findings, "NAT"), "connections from outside by IPv4 do not get in, as 2 peers found");
    assert.equal(words(both.findings, "IPv6"), "yes, verified by 2 peers");
  });

  test("says that another program has the port", () => {
    const { findings } = describe_({ verdict: through("open"), ports: { ...ports, tcp: 9_000 } });
    const what = "mapped 9000 (8088 is taken there) tcp and 8088 udp, verified by 2 peers";
    assert.equal(words(findings, "UPnP"), what);
    const alone = describe_({ verdict: through("open"), ports: { ...ports, udp: undefined } });
    assert.equal(words(alone.findings, "UPnP"), "mapped 8088 tcp, no UDP port, verified by 2 peers");
  });

  test("has a hint for each kind of NAT that is in the way", () => {
    for (const [udpMapping, about] of [
      ["cone", /ordinary \(endpoint-independent\)/],
      ["symmetric", /symmetric \(another port for each destination\)/],
      ["blocked", /no UDP through/],
      [undefined, /connections from outside do not get in, as 2 peers found/],
    ] as const) {
      const { findings } = describe_({ verdict: through("silent"), failed: "the router refuses", udpMapping });
      assert.match(words(findings, "NAT"), about);
      assert.equal(findings.find(({ about: name }) => name === "NAT")?.fix === undefined, udpMapping === "cone");
      assert.match(words(findings, "port mapping"), /the router refuses/);
    }
  });

  test("says nothing of ports where others reach the machine itself", () => {
    const own: Candidate = { ...mapped, from: EXTERNAL, mapped: false };
    const verdict = judge([{ candidate: own, answers: ["a", "b"].map((place) => answer(place, "open", EXTERNAL)) }]);
    const { findings } = describe_({ verdict, failed: "no router", told: [EXTERNAL], isBehindNat: false });
    assert.deepEqual(
      findings.map(({ about }) => about),
      ["NAT", "IPv6"],
    );
  });

  test("does not say that a router is asked where none is in the way", () => {
    const verdict = judge([{ candidate: { ...mapped, from: EXTERNAL, mapped: false }, answers: [] }]);
    const { findings } = describe_({ verdict, four: { kind: "idle" }, told: [EXTERNAL], isBehindNat: false });
    assert.deepEqual(
      findings.map(({ about }) => about),
      ["NAT", "IPv6"],
    );
  });

  test("says nothing of a node that does not lend", () => {
    const { lends, findings, reachableBy } = describe_({ verdict: noVerdict, lends: false });
    assert.deepEqual([lends, findings, reachableBy], [false, [], []]);
  });
});

const EXTERNAL = "20.7.7.7";
const SIX = "2a00::2";
const mapped: Candidate = { family: 4, from: undefined, port: 8088, udp: undefined, mapped: true };
const ports: MappedPorts = { method: "UPnP", gateway: "192.168.0.1", tcp: 8088, udp: 8088, external: EXTERNAL };

interface Scene extends Partial<Pick<Self, "told" | "udpMapping" | "isBehindNat">> {
  readonly verdict: Verdict;
  readonly lends?: boolean;
  readonly ports?: MappedPorts;
  readonly failed?: string;
  /** @default what the two above make of it */
  readonly four?: MappingState;
  readonly via?: readonly string[];
  readonly now?: number;
}

function describe_({ verdict, lends = true, ports: open, failed = "", four, via = [], now = 0, ...scene }: Scene) {
  const asked: MappingState =
    open === undefined ? { kind: "failed", why: failed, isRefusal: true } : { kind: "mapped", ports: open };
  const self: Self = { told: [], port: 8088, udpPort: 8088, udpMapping: undefined, isBehindNat: true, ...scene };
  const facts: ReachFacts = {
    lends,
    verdict,
    at: 0,
    now,
    reachable: toRecord(verdict, self),
    self,
    mapped: { four: four ?? asked, pinholes: [] },
    punches: true,
    via: via.map((name, n) => ({ id: fakeId(n), name })),
  };
  return describeReach(facts);
}

function words(findings: ReturnType<typeof describeReach>["findings"], about: string): string {
  return findings.find((finding) => finding.about === about)?.words ?? "";
}

function through(outcome: Answer["tcp"]): Verdict {
  return judge([{ candidate: mapped, answers: ["a", "b"].map((place) => answer(place, outcome, EXTERNAL)) }]);
}

function answer(place: string, tcp: Answer["tcp"], observed: string): Answer {
  return { by: fakeId(place.charCodeAt(0)), place, observed, tcp, udp: undefined };
}
