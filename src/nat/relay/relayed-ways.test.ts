import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, fakeId, fakeReach } from "../../../test/support/fake-link.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import type { NodeId } from "../../core/index.ts";
import type { Dialable, Path } from "../../network/index.ts";
import { RelayedWays } from "./relayed-ways.ts";

const [me, attic, garage, cellar, shed] = [fakeId(1), fakeId(2), fakeId(3), fakeId(4), fakeId(5)];
const never = new AbortController().signal;

describe("the ways to a node through others", () => {
  test("lead through the relays that it names, after what is better had its time, one after the other", () => {
    const lab = new Lab();
    assert.deepEqual(
      lab.ways([garage, cellar]).map(({ kind, address, delayMs }) => [kind, address, delayMs]),
      [
        ["relayed", "via garage", 2_000],
        ["relayed", "via cellar", 2_500],
      ],
    );
  });

  test("lead through friends then, at most three of each, and never through itself or this node", () => {
    const lab = new Lab();
    lab.helpers = [garage, attic, shed, fakeId(7), fakeId(8), fakeId(9)];
    assert.deepEqual(lab.names([garage, me, cellar, fakeId(6)]), ["garage", "cellar", "shed", "7"]);
    assert.deepEqual(lab.names([]), ["garage", "shed"]);
  });

  test("are none where it names no relay and no friend may help, which is said", () => {
    const lab = new Lab();
    const hindrance = () => lab.passage.hindrance({ id: attic, endpoints: [], via: [] });
    assert.match(hindrance()?.reason ?? "", /names no relay/);
    lab.helpers = [garage];
    assert.equal(hindrance(), undefined);
  });

  test("do not lead through a relay of which nothing is known, or which is itself behind one", async () => {
    const lab = new Lab();
    await assert.rejects(lab.open(cellar), { message: "cellar cannot be reached: nothing is known of it" });
    lab.known.add(garage);
    lab.links.push(new RelayedLink({ clock: lab.clock, peer: garage }));
    await assert.rejects(lab.open(garage), {
      message: "garage cannot be reached: it is itself reached through another one",
    });
  });

  test("lead through those that a friend names in the DHT, and has not named before", async () => {
    const lab = new Lab();
    lab.found = new Map([[attic, { endpoints: [], via: [garage, me, cellar, shed] }]]);
    const ways = lab.ways([garage]);
    assert.deepEqual(
      ways.map(({ kind, address, delayMs }) => [kind, address, delayMs]),
      [
        ["relayed", "via garage", 2_000],
        ["relayed", "found by key", 2_500],
      ],
    );
    lab.known.add(shed);
    lab.links.push(new RelayedLink({ clock: lab.clock, peer: shed }));
    await assert.rejects(ways[1]?.open(never) ?? Promise.resolve(), {
      message:
        "cellar cannot be reached: nothing is known of it; shed cannot be reached: it is itself reached through another one",
    });
  });

  test("lead to a relay of a friend that nobody has heard of, by its own key", async () => {
    const lab = new Lab();
    const endpoint = { host: "203.0.113.4", port: 8088 };
    lab.found = new Map([
      [attic, { endpoints: [], via: [cellar] }],
      [cellar, { endpoints: [endpoint], via: [] }],
    ]);
    await assert.rejects(lab.ways([])[0]?.open(never) ?? Promise.resolve(), { message: /no address of it answers/ });
    assert.deepEqual(lab.dialled, [{ id: cellar, endpoints: [endpoint], via: [] }]);
  });

  test("are none by key where the DHT names no other relay, which is said", async () => {
    const lab = new Lab();
    lab.found = new Map([[attic, { endpoints: [], via: [garage] }]]);
    await assert.rejects(lab.ways([garage])[1]?.open(never) ?? Promise.resolve(), { message: /no other relay/ });
  });

  test("are none to a relay while it is dialled as one, so that none waits for itself", async () => {
    const lab = new Lab();
    lab.known.add(garage);
    const opening = lab.open(garage);
    assert.deepEqual(lab.passage.ways({ id: garage, endpoints: [], via: [cellar] }), []);
    await assert.rejects(opening, { code: "unreachable" });
    assert.equal(lab.passage.ways({ id: garage, endpoints: [], via: [cellar] }).length, 1);
  });
});

class RelayedLink extends FakeLink {
  override readonly path: Path = { kind: "relayed", remote: "via somebody" };
}

class Lab {
  readonly clock = new VirtualClock();
  readonly known = new Set<NodeId>();
  readonly links: FakeLink[] = [];
  helpers: readonly NodeId[] = [];
  readonly dialled: Dialable[] = [];
  /** What stands in the DHT. */
  found = new Map<NodeId, { readonly endpoints: Dialable["endpoints"]; readonly via: readonly NodeId[] }>();
  readonly #reach = fakeReach(() => this.links);
  readonly passage = new RelayedWays({
    id: me,
    inner: { dial: () => Promise.reject(new Error("nothing is dialled here")) },
    reach: {
      ...this.#reach,
      link: (target, signal) => {
        this.dialled.push(target);
        return this.#reach.link(target, signal);
      },
    },
    byKey: { canFind: (id) => this.found.has(id), find: async (id) => this.found.get(id) },
    relay: (id) => (this.known.has(id) ? { id, endpoints: [], via: [] } : undefined),
    helpers: () => this.helpers,
    nameOf: (id) => names.get(id) ?? String([...Array(10).keys()].find((number) => fakeId(number) === id)),
    clock: this.clock,
  });

  ways(via: readonly NodeId[]) {
    return this.passage.ways({ id: attic, endpoints: [], via });
  }

  names(via: readonly NodeId[]): readonly string[] {
    return this.ways(via).map(({ address }) => address.slice("via ".length));
  }

  async open(via: NodeId) {
    const [way] = this.ways([via]);
    assert.ok(way);
    return await way.open(never);
  }
}

const names = new Map([
  [garage, "garage"],
  [cellar, "cellar"],
  [shed, "shed"],
]);
