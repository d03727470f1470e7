import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { PunchLab, until } from "../../../test/support/punch-lab.ts";

describe("Punch", () => {
  test("reaches a node by its key, and each end knows the other's", async () => {
    await using lab = await PunchLab.open();
    const attic = await lab.node({ answers: true });
    const guest = await lab.node();
    const pipe = await guest.punch.dial({ id: attic.identity.id, asks: true }, lab.signal);
    await until(() => attic.pipes.length === 1);
    const [other] = attic.pipes;
    assert.deepEqual([pipe.peer, pipe.asks, pipe.path.kind], [attic.identity.id, true, "punched"]);
    assert.deepEqual([other?.peer, other?.asks, other?.path.kind], [guest.identity.id, false, "punched"]);
    pipe.duplex.write("hello");
    const [word] = (await other?.duplex.take(1).toArray()) ?? [];
    assert.equal(String(word), "hello");
  });
});
