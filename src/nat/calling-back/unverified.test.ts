import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, fakeId, MemoryApp } from "../../../test/support/fake-link.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import {
  AllowedNetworks,
  type Caller,
  type Endpoint,
  formatEndpoint,
  type NodeId,
  noNetworks,
} from "../../core/index.ts";
import { type Mapped, unmapped } from "../mapping/state.ts";
import { type Answer, type Candidate, judge, noVerdict, type Self, toRecord } from "../reachability/verdict.ts";
import { askUnverified } from "./ask.ts";
import { serveCallBack } from "./serve.ts";
import { Unverified, unverifiedPlaces } from "./unverified.ts";

const { signal } = new AbortController();
const OUTSIDE = "20.7.7.7";
const SIX = "2a00::2";

describe("what a node tells whoever reaches it in a roundabout way", () => {
  test("is where one other got in, which is too few for its record", () => {
    assert.deepEqual(placesOf({ answers: [answer("a", "open")] }), [`${OUTSIDE}:8088`]);
  });

  test("is what the router says, until somebody could be asked", () => {
    assert.deepEqual(placesOf({ answers: [] }), ["20.9.9.9:8088"]);
    assert.deepEqual(placesOf({ answers: [answer("a", "silent")] }), []);
    assert.deepEqual(placesOf({ answers: [], mapped: unmapped }), []);
  });

  test("is nothing that two did not get into, and nothing that means something in this house alone", () => {
    assert.deepEqual(placesOf({ answers: [answer("a", "silent"), answer("b", "silent"), answer("c", "open")] }), []);
    const inside = { ...answer("a", "open"), observed: "100.64.0.7" };
    assert.deepEqual(placesOf({ answers: [inside] }), []);
  });

  test("is nothing that its record says, but a port that has no place in it", () => {
    const both = [answer("a", "open"), answer("b", "open")];
    assert.deepEqual(placesOf({ answers: both }), []);
    assert.deepEqual(placesOf({ answers: both, port: 9_000, told: [SIX] }), [`${OUTSIDE}:9000`]);
  });
});

describe("what it is told of another node", () => {
  const said = (...places: Endpoint[]) => {
    const clock = new VirtualClock();
    return answering({ kind: "node", id: fakeId(2), remote: "20.0.0.1:1" }, places, { clock });
  };

  test("is tried where anybody may be dialled, and only what is not known already", async () => {
    const open = { host: OUTSIDE, port: 9_000 };
    const link = await said(open, { host: "192.168.1.7", port: 8088 });
    assert.deepEqual(await unverified().ask(link, [], signal), [open]);
    assert.deepEqual(await unverified().ask(link, [open], signal), []);
    const lab = AllowedNetworks.parse(["192.168.1.0/24"]);
    assert.equal((await unverified(lab).ask(link, [], signal)).length, 2);
  });

  test("is no name, no port of the system, and no machine beside this one", async () => {
    const bad = [
      { host: "bank.example", port: 8088 },
      { host: OUTSIDE, port: 443 },
    ];
    assert.deepEqual(await unverified().ask(await said(...bad), [], signal), []);
    const mine = [
      { host: "127.0.0.1", port: 8088 },
      { host: "::ffff:20.7.7.7", port: 8088 },
    ];
    assert.deepEqual(await unverified().ask(await said(...mine), [], signal), []);
  });

  test("is not believed at all where it is more than a node may say", async () => {
    const three = [1, 2, 3].map((n) => ({ host: `20.7.7.${n}`, port: 8088 }));
    await assert.rejects(unverified().ask(await said(...three), [], signal), { code: "bad-reply" });
  });

  test("makes nobody knock at a third party often", async () => {
    const all = unverified();
    let dials = 0;
    for (let n = 0; n < 64; n++) {
      const clock = new VirtualClock();
      const caller = { kind: "node", id: fakeId(2), remote: "20.0.0.1:1" } as const;
      const link = await answering(caller, [{ host: OUTSIDE, port: 8_000 + n }], { clock, peer: fakeId(n) });
      dials += (await all.ask(link, [], signal)).length;
    }
    assert.equal(dials, 8, "ports of one machine");
  });

  test("is not told without end", async () => {
    const clock = new VirtualClock();
    const link = await answering({ kind: "node", id: fakeId(2), remote: "20.0.0.1:1" }, [], { clock });
    for (let n = 0; n < 16; n++) assert.deepEqual(await askUnverified(link, clock, signal), { places: [] });
    await assert.rejects(askUnverified(link, clock, signal), { code: "too-often" });
    await clock.advance(5_000);
    assert.deepEqual(await askUnverified(link, clock, signal), { places: [] });
  });
});

const mappedThere: Mapped = {
  four: {
    kind: "mapped",
    ports: { method: "UPnP", gateway: "192.168.0.1", tcp: 8088, udp: 8088, external: "20.9.9.9" },
  },
  pinholes: [],
};

interface Scene {
  readonly answers: readonly Answer[];
  readonly mapped?: Mapped;
  readonly port?: number;
  readonly told?: readonly string[];
}

function placesOf({ answers, mapped = mappedThere, port = 8088, told = [] }: Scene): readonly string[] {
  const candidate: Candidate = { family: 4, from: undefined, port, udp: undefined, mapped: true };
  const self: Self = { told, port: 8088, udpPort: undefined, udpMapping: undefined, isBehindNat: true };
  const verdict = answers.length === 0 ? noVerdict : judge([{ candidate, answers }]);
  const isPublic = (address: string) => address.startsWith("20.");
  return unverifiedPlaces({ reachability: { verdict, reachable: toRecord(verdict, self) }, mapped, isPublic }).map(
    formatEndpoint,
  );
}

function answer(place: string, tcp: Answer["tcp"]): Answer {
  return { by: fakeId(place.charCodeAt(0)), place, observed: OUTSIDE, tcp, udp: undefined };
}

function unverified(allowed = noNetworks): Unverified {
  return new Unverified({ allowed, clock: new VirtualClock() });
}

/** A link to a node that says these of itself. */
async function answering(
  caller: Caller,
  places: readonly Endpoint[],
  { clock, peer = fakeId(1) }: { readonly clock: VirtualClock; readonly peer?: NodeId },
) {
  const callBack = { call: () => assert.fail("not asked") };
  const app = await MemoryApp.open(caller, "stranger", async (fastify) => {
    await fastify.register(serveCallBack({ callBack, unverified: () => places, clock }));
  });
  return new FakeLink({ clock, answer: app.answer, peer });
}
