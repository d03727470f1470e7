import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FakeLink, fakeId, MemoryApp } from "../../../test/support/fake-link.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { type Caller, Failure } from "../../core/index.ts";
import { askCheck } from "./ask.ts";
import type { CheckRequest, ReachReply } from "./contract.ts";
import { serveReach } from "./serve.ts";

const { signal } = new AbortController();
const node: Caller = { kind: "node", id: fakeId(1), remote: "20.0.0.1:50000" };

describe("POST /v1/reach/check", () => {
  test("dials back to where the caller is, and tells what it came to", async () => {
    const { link, dialled } = await lab(node);
    const reply = await askCheck(link, { clock: new VirtualClock(), tcp: 8088, udp: 8088 }, signal);
    assert.deepEqual(reply, { observed: "20.0.0.1", tcp: { outcome: "open", ms: 3 } });
    assert.deepEqual(dialled, [[node, { tcp: 8088, udp: 8088 }]]);
  });

  test("takes no address to dial, and no port that is none", async () => {
    const { app, dialled } = await lab(node);
    for (const body of [{ tcp: 0 }, { tcp: 65_536 }, { tcp: "ssh" }, { udp: 8088 }, {}, []]) {
      const answer = await app.answer({ method: "POST", path: "/v1/reach/check", body }, signal);
      answer.body.resume();
      assert.equal(answer.status, 400, JSON.stringify(body));
    }
    assert.deepEqual(dialled, []);
    await app.answer({ method: "POST", path: "/v1/reach/check", body: { tcp: 8088, host: "20.9.9.9" } }, signal);
    assert.deepEqual(dialled, [[node, { tcp: 8088 }]]); // the daemon's own application refuses such a body
  });

  test("dials back to nobody who is no node", async () => {
    const { link, dialled } = await lab({ kind: "local" });
    await assert.rejects(askCheck(link, { clock: new VirtualClock(), tcp: 8088 }, signal), { code: "not-supported" });
    assert.deepEqual(dialled, []);
  });

  test("passes on why it does not, to the node that asked", async () => {
    const { link } = await lab(node, new Failure("too-often", "often enough"));
    await assert.rejects(askCheck(link, { clock: new VirtualClock(), tcp: 8088 }, signal), { code: "too-often" });
  });
});

describe("askCheck", () => {
  test("takes no name for an address", async () => {
    const { link } = await lab({ ...node, remote: "somewhere:1" });
    await assert.rejects(askCheck(link, { clock: new VirtualClock(), tcp: 8088 }, signal), { code: "bad-reply" });
  });

  test("does not wait for ever", async () => {
    const clock = new VirtualClock();
    const link = new FakeLink({ clock, answer: () => new Promise(() => {}) });
    const asking = assert.rejects(askCheck(link, { clock, tcp: 8088 }, signal), { code: "timed-out" });
    await clock.advance(6_000);
    await asking;
  });
});

async function lab(caller: Caller, failure?: Failure) {
  const dialled: [Caller, CheckRequest][] = [];
  const dialBack = {
    check: async (asker: { readonly id: string; readonly remote: string }, request: CheckRequest) => {
      if (failure !== undefined) throw failure;
      dialled.push([caller, request]);
      return { observed: asker.remote.split(":")[0] ?? "", tcp: { outcome: "open", ms: 3 } } as const;
    },
  };
  const show = (): ReachReply => assert.fail("not asked");
  const app = await MemoryApp.open(caller, "stranger", async (fastify) => {
    await fastify.register(serveReach({ dialBack, show }));
  });
  const link = new FakeLink({ clock: new VirtualClock(), answer: app.answer });
  return { app, link, dialled };
}
