import assert from "node:assert/strict";
import { createServer } from "node:net";
import { describe, test } from "node:test";
import { ResidentLab } from "../../../test/support/resident-lab.ts";

const { signal } = new AbortController();

describe("probe", () => {
  test("says what it is and how each attempt to connect ended", async () => {
    await using lab = await ResidentLab.open();
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    const open = `127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
    const probe = await lab.inside.probe([open, "127.0.0.1:1", "[::1]:1"], signal);
    server.close();
    assert.equal(probe.uid, process.getuid?.());
    assert.match(probe.capEff, /^[0-9a-f]{16}$/u);
    assert.equal(probe.dials[open], "connected");
    assert.equal(probe.dials["127.0.0.1:1"], "refused");
    assert.notEqual(probe.dials["[::1]:1"], "connected");
  });

  test("dials no names, and not more addresses than agreed", async () => {
    await using lab = await ResidentLab.open();
    await assert.rejects(lab.inside.probe(["localhost:80"], signal), { code: "bad-argument" });
    const many = Array.from({ length: 65 }, (_, at) => `127.0.0.1:${at + 1}`);
    await assert.rejects(lab.inside.probe(many, signal), { code: "too-large" });
  });
});
