import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { depthOf, firstHost, type HostName, parseNatTopology } from "./nat-topology.ts";

describe("parseNatTopology", () => {
  test("reads hosts that are public, and hosts behind a router of their own", () => {
    assert.deepEqual(parseNatTopology("relay:public  attic:nat@10.9.9"), [
      "relay",
      { kind: "nat", inside: ["attic"], net: "10.9.9" },
    ]);
  });

  test("reads several behind one router, and routers behind routers", () => {
    assert.deepEqual(parseNatTopology("((desk laptop):symmetric barn:upnp):nat"), [
      {
        kind: "nat",
        inside: [
          { kind: "symmetric", inside: ["desk", "laptop"] },
          { kind: "upnp", inside: ["barn"] },
        ],
      },
    ]);
  });

  test("takes cgnat for a home behind a carrier", () => {
    const [place] = parseNatTopology("(desk laptop):cgnat@10.9.9");
    assert.deepEqual(place, {
      kind: "nat",
      inside: [{ kind: "nat", inside: ["desk", "laptop"], net: "10.9.9" }],
    });
    assert.ok(place !== undefined && typeof place !== "string");
    assert.equal(firstHost(place), "desk");
    assert.equal(depthOf(place), 2);
  });

  for (const [text, complaint] of [
    ["attic", /"attic" lacks a kind: public, cgnat, nat/],
    ["attic:cone", /no router is "cone": cgnat, nat/],
    ["(attic:public):nat", /no router is "public"/],
    ["attic:nat attic:public", /two hosts are called "attic"/],
    ["(attic:nat", /a "\)" is missing in/],
    ["attic:nat)", /a "\)" too many in/],
    ["(attic)", /no router is ""/],
    ["attic:nat, barn:nat", /what is "," in/],
  ] as const) {
    test(`refuses "${text}"`, () => {
      assert.throws(() => parseNatTopology(text), complaint);
    });
  }

  test("has the names of the hosts as a type", () => {
    const names: readonly HostName<"a:public  ((b c):nat@10.1.1 d:upnp):cgnat">[] = ["a", "b", "c", "d"];
    // @ts-expect-error there is no such host
    const wrong: HostName<"a:public (b c):nat"> = "public";
    assert.deepEqual([...names, wrong], ["a", "b", "c", "d", "public"]);
  });
});
