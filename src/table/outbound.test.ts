import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink } from "../../test/support/fake-link.ts";
import { type House, Village } from "../../test/support/village.ts";
import type { NodeId } from "../core/index.ts";
import type { Path, PathKind } from "../network/index.ts";
import { Outbound } from "./outbound.ts";

const never = new AbortController().signal;

describe("Outbound", () => {
  test("keeps eight links", async () => {
    using lab = new Lab();
    lab.me.knows(...lab.neighbours(20));
    await lab.fill();
    assert.equal(lab.outbound.ids.length, 8);
    assert.ok(lab.outbound.ids.every((id) => lab.me.links.get(id)?.holders === 1));
  });

  test("keeps what there is when there are fewer", async () => {
    using lab = new Lab();
    lab.me.knows(...lab.neighbours(3));
    await lab.fill();
    assert.equal(lab.outbound.ids.length, 3);
  });

  test("always has a friend among them, also one that comes late", async () => {
    using lab = new Lab();
    const [friend = assert.fail(), ...others] = lab.neighbours(20);
    lab.me.knows(...others);
    await lab.fill();
    lab.me.hear(friend).befriends(friend);
    await lab.fill();
    assert.ok(lab.outbound.ids.includes(friend.id));
    assert.equal(lab.outbound.ids.length, 8);
    assert.equal(
      [...lab.me.links.values()].reduce((sum, link) => sum + link.holders, 0),
      8,
    );
  });

  test("does without a friend that does not answer", async () => {
    using lab = new Lab();
    const [friend = assert.fail(), ...others] = lab.neighbours(20);
    friend.fate = "refuses";
    lab.me
      .knows(...others)
      .hear(friend)
      .befriends(friend);
    await lab.fill();
    assert.equal(lab.outbound.ids.length, 8);
  });

  test("chooses from different lineages, though one told of many more", async () => {
    using lab = new Lab();
    const [loud = assert.fail(), ...others] = lab.neighbours(100);
    const quiet = others.slice(0, 7);
    lab.me.knows(loud, ...quiet);
    lab.hearsThrough(loud, others.slice(7));
    await lab.fill();
    const roots = lab.outbound.ids.map((id) => lab.me.table.get(id)?.root);
    assert.equal(new Set(roots).size, 8);
  });

  test("prefers different providers within one lineage", async () => {
    using lab = new Lab();
    const [guide = assert.fail(), ...far] = lab.neighbours(8);
    lab.me.knows(guide);
    lab.hearsThrough(guide, [...Array.from({ length: 6 }, (_, i) => lab.village.add(2_000 + i, {})), ...far]);
    await lab.fill();
    const providers = lab.outbound.ids.map((id) =>
      lab.village.house(id)?.node.address.split(".").slice(0, 2).join("."),
    );
    assert.equal(new Set(providers).size, 8);
  });

  test("replaces what ended, and says whom it lost", async () => {
    using lab = new Lab();
    lab.me.knows(...lab.neighbours(9));
    await lab.fill();
    const [first = assert.fail()] = lab.outbound.ids;
    lab.me.links.get(first)?.break();
    assert.deepEqual(lab.outbound.dropEnded(), [first]);
    await lab.fill();
    assert.equal(lab.outbound.ids.length, 8);
  });

  test("holds no place for a node that accepts and never answers", async () => {
    using lab = new Lab();
    const [mute = assert.fail(), other = assert.fail()] = lab.neighbours(2);
    mute.fate = "mute";
    lab.me.knows(mute, other);
    await lab.fill();
    assert.deepEqual(lab.outbound.ids, [other.id]);
  });

  test("begins with the anchors of its last life", async () => {
    using lab = new Lab();
    lab.me.knows(...lab.neighbours(60));
    await lab.fill();
    const anchors = lab.anchors();
    assert.equal(anchors.length, 2);
    using again = new Outbound({ ...lab.deps }, { size: 2 });
    await lab.village.until(again.fill(never), 60_000);
    assert.deepEqual([...again.ids].sort(), anchors.sort());
  });

  test("keeps the better path as soon as there is one, and the roundabout one no longer", async () => {
    using lab = new Lab();
    const [attic = assert.fail()] = lab.neighbours(1);
    lab.me.knows(attic);
    lab.me.links.set(attic.id, new PathLink(lab, attic.id, "relayed"));
    await lab.fill();
    const relayed = lab.me.links.get(attic.id);
    assert.deepEqual([relayed?.path.kind, relayed?.holders], ["relayed", 1]);
    const direct = new PathLink(lab, attic.id, "tcp4");
    lab.me.links.set(attic.id, direct);
    assert.deepEqual(lab.outbound.dropEnded(), []);
    assert.deepEqual([relayed?.holders, direct.holders, lab.outbound.link(attic.id)], [0, 1, direct]);
    lab.me.links.set(attic.id, new PathLink(lab, attic.id, "punched"));
    lab.outbound.dropEnded();
    assert.equal(lab.outbound.link(attic.id), direct);
  });

  test("lets go of all links when it is disposed of", async () => {
    const lab = new Lab();
    lab.me.knows(...lab.neighbours(9));
    await lab.fill();
    lab.outbound[Symbol.dispose]();
    lab.outbound[Symbol.dispose]();
    assert.ok([...lab.me.links.values()].every((link) => link.holders === 0));
  });
});

class PathLink extends FakeLink {
  override readonly path: Path;

  constructor(lab: Lab, peer: NodeId, kind: PathKind) {
    super({ clock: lab.village.clock, peer, rttMs: () => 20 });
    this.path = { kind, remote: "" };
  }
}

class Lab implements Disposable {
  readonly village = new Village();
  readonly me: House = this.village.add(1);
  readonly deps = {
    table: this.me.table,
    visitor: this.me.visitor,
    reach: this.me.reach,
    now: () => this.village.clock.now(),
    random: this.village.random,
  };
  readonly outbound = new Outbound(this.deps);

  neighbours(count: number): House[] {
    return Array.from({ length: count }, (_, i) => this.village.add(i + 2));
  }

  hearsThrough(guide: House, others: readonly House[]): void {
    this.me.table.learn(
      others.map((other) => other.own.signed),
      { kind: "node", id: guide.id },
    );
    for (const other of others)
      this.me.table.answered(other.id, { kind: "tcp4", remote: `${other.node.address}:8088` });
  }

  fill(): Promise<void> {
    return this.village.until(this.outbound.fill(never), 60_000);
  }

  anchors(): NodeId[] {
    return Array.from(this.me.table.rows.all())
      .filter((row) => row.anchor)
      .map((row) => row.id);
  }

  [Symbol.dispose](): void {
    this.outbound[Symbol.dispose]();
  }
}
