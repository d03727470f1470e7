import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import type { NodeId } from "../../core/index.ts";
import { Doorkeeper, type DoorkeeperOptions, type Visit } from "./doorkeeper.ts";

describe("Doorkeeper", () => {
  test("lets so many strangers in at once, and keeps room for known nodes", () => {
    const lab = new Lab({ maxPending: 6, maxPendingOfStrangers: 4, maxPendingPerGroup: 9 });
    assert.equal(lab.come(10, "stranger").length, 4);
    assert.equal(lab.come(10, "known").length, 2);
    assert.equal(lab.door.pending, 6);
  });

  test("lets few in from one unknown machine, and any number from that of known nodes", () => {
    const lab = new Lab({ maxPendingPerGroup: 2 });
    assert.equal(lab.come(10, "stranger", "a").length, 2);
    assert.equal(lab.come(10, "stranger", "b").length, 2);
    assert.equal(lab.come(10, "known", "a").length, 10);
  });

  test("lets few in with one key, also a known one: it is claimed, not proven", () => {
    const lab = new Lab({ maxPendingPerNode: 3 });
    const again = Array.from({ length: 10 }, () => lab.door.admit({ id: "known-1" as NodeId, group: "a" }));
    assert.equal(again.filter((visit) => visit !== undefined).length, 3);
  });

  test("makes room when a handshake ends, and only once", () => {
    const lab = new Lab({ maxPendingOfStrangers: 1 });
    const [first] = lab.come(1, "stranger");
    assert.equal(lab.come(1, "stranger").length, 0);
    first?.ended();
    first?.ended();
    assert.equal(lab.come(2, "stranger").length, 1);
  });

  test("counts a connection until it ends, and no longer as a handshake", () => {
    const lab = new Lab({ maxPendingOfStrangers: 1, maxConnectionsOfStrangers: 2, maxConnections: 3 });
    const [first] = lab.come(1, "stranger");
    first?.connected();
    lab.come(1, "stranger")[0]?.connected();
    assert.deepEqual([lab.door.pending, lab.door.connections], [0, 2]);
    assert.equal(lab.come(1, "stranger").length, 0);
    lab.come(1, "known")[0]?.connected();
    assert.equal(lab.come(1, "known").length, 0);
    first?.ended();
    assert.equal(lab.come(1, "stranger").length, 1);
    first?.connected();
    assert.equal(lab.door.connections, 2, "one that has ended stays away");
  });

  test("has time for a hundred key exchanges at once and a hundred a second after that", async () => {
    const lab = new Lab({});
    const tries = () => Array.from({ length: 500 }, () => lab.door.mayTry()).filter(Boolean).length;
    assert.equal(tries(), 100);
    await lab.clock.advance(500);
    assert.equal(tries(), 50);
  });
});

class Lab {
  readonly clock = new VirtualClock();
  readonly door: Doorkeeper;
  #comers = 0;

  constructor(options: DoorkeeperOptions) {
    this.door = new Doorkeeper({ clock: this.clock, isKnown: (id) => id.startsWith("known") }, options);
  }

  /** So many different ones. @returns the visits of those that were let in */
  come(count: number, kind: "known" | "stranger", group?: string): Visit[] {
    const comers = Array.from({ length: count }, () => `${kind}-${++this.#comers}`);
    return comers.flatMap((id) => this.door.admit({ id: id as NodeId, group: group ?? id }) ?? []);
  }
}
