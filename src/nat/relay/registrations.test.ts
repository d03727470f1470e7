import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, fakeId } from "../../../test/support/fake-link.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import type { NodeId } from "../../core/index.ts";
import { Registrations, type RegistrationsOptions } from "./registrations.ts";

const [ada, bob, friend] = [fakeId(1), fakeId(2), fakeId(9)];

describe("the registrations at a relay", () => {
  test("keep the link of whoever is registered, and let it go at the end", async () => {
    const lab = new Lab({ ttlMs: 60_000 });
    const link = lab.link(ada);
    assert.equal(lab.registrations.add(ada), 60_000);
    assert.deepEqual([lab.registrations.size, link.holders], [1, 1]);
    await lab.clock.advance(60_000);
    assert.deepEqual([lab.registrations.has(ada), link.holders, link.open], [false, 0, false]);
  });

  test("go on when they are renewed", async () => {
    const lab = new Lab({ ttlMs: 60_000 });
    lab.link(ada);
    lab.registrations.add(ada);
    await lab.clock.advance(59_000);
    lab.registrations.add(ada);
    await lab.clock.advance(59_000);
    assert.ok(lab.registrations.has(ada));
  });

  test("end when no link came up, or was lost and did not come back", async () => {
    const lab = new Lab();
    lab.registrations.add(ada);
    await lab.clock.advance(29_000);
    assert.ok(lab.registrations.has(ada));
    const link = lab.link(ada);
    lab.registrations.linked(ada);
    await lab.clock.advance(60_000);
    assert.ok(lab.registrations.has(ada));
    lab.links.delete(ada);
    link.close();
    await lab.clock.advance(30_000);
    assert.ok(!lab.registrations.has(ada));
  });

  test("are few for strangers, so that friends find room", () => {
    const lab = new Lab({ maxStrangers: 1, max: 2 });
    lab.registrations.add(ada);
    assert.throws(() => lab.registrations.add(bob), { code: "busy" });
    lab.registrations.add(friend);
    assert.equal(lab.registrations.size, 2);
  });

  test("are few for strangers at one address, whatever their keys", () => {
    const lab = new Lab({ maxPerGroup: 1 });
    lab.registrations.add(ada, "192.0.2.1");
    assert.throws(() => lab.registrations.add(bob, "192.0.2.1"), { code: "busy" });
    lab.registrations.add(ada, "192.0.2.1");
    lab.registrations.add(friend, "192.0.2.1");
    lab.registrations.add(bob, "192.0.2.2");
  });

  test("are not more than a cap for anybody", () => {
    const lab = new Lab({ max: 1 });
    lab.registrations.add(ada);
    assert.throws(() => lab.registrations.add(friend), { code: "busy" });
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly links = new Map<NodeId, FakeLink>();
  readonly registrations: Registrations;

  constructor(options: RegistrationsOptions = {}) {
    const existing = (id: NodeId) => this.links.get(id);
    const isKnown = (id: NodeId) => id === friend;
    this.registrations = new Registrations({ existing, isKnown, clock: this.clock }, options);
  }

  link(id: NodeId): FakeLink {
    const link = new FakeLink({ clock: this.clock, peer: id });
    this.links.set(id, link);
    return link;
  }
}
