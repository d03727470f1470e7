import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeId } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { silentLog } from "../base/index.ts";
import type { Link } from "./link.ts";
import { Upgrades } from "./upgrades.ts";

test("a defect in one search for a better path ends neither it nor the others", async () => {
  const clock = new VirtualClock();
  const searched: string[] = [];
  const find = async (target: { readonly id: string }) => {
    searched.push(target.id);
    if (target.id === fakeId(1)) throw new TypeError("a defect");
    return undefined;
  };
  await using upgrades = new Upgrades({ clock, log: silentLog, find });
  for (const id of [fakeId(1), fakeId(2)]) {
    const link = { peer: id, path: { kind: "relayed", remote: "via garage" }, ended: new Promise(() => {}) };
    upgrades.start({ id, endpoints: [], via: [] }, link as unknown as Link);
  }
  await clock.advance(8_000); // at once, after 2 s and after 5 more
  assert.deepEqual(searched.toSorted(), [1, 1, 1, 2, 2, 2].map(fakeId).toSorted());
});
