import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink } from "../../test/support/fake-link.ts";
import { VirtualClock } from "../../test/support/virtual-clock.ts";
import { LinkPool } from "./link-pool.ts";

describe("the links to one node", () => {
  test("are used newest first: the one before may be lost, and nobody knows yet", async () => {
    const clock = new VirtualClock();
    await using pool = new LinkPool(clock);
    const [first, second] = [new FakeLink({ clock }), new FakeLink({ clock })];
    pool.add(first);
    pool.add(second);
    assert.equal(pool.get(first.peer), second);
    second.close();
    assert.equal(pool.get(first.peer), first);
  });
});
