import assert from "node:assert/strict";
import { test } from "node:test";
import { SignedNode } from "../../../test/support/signed-node.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { AllowedNetworks, Failure, noNetworks } from "../../core/index.ts";
import type { Dialable } from "../../network/index.ts";
import { CallBack } from "./call-back.ts";

const signal = new AbortController().signal;

test("dials the asker at the public addresses of his own record, and at no other", async () => {
  const asker = new SignedNode(1);
  const record = asker.sign({ addresses: ["10.0.0.7", "198.51.100.7", "2a00::7"] });
  const { callBack, dialled } = backCaller();
  const lab = AllowedNetworks.parse(["198.51.100.0/24"]);
  assert.deepEqual(await backCaller(lab, dialled).callBack.call(asker.id, { record }, signal), { path: "tcp4" });
  const endpoints = [
    { host: "198.51.100.7", port: 8088 },
    { host: "2a00::7", port: 8088 },
  ];
  assert.deepEqual(dialled, [{ id: asker.id, endpoints, via: [] }]);
  const home = asker.sign({ addresses: ["192.168.1.7"] });
  await assert.rejects(callBack.call(asker.id, { record: home }, signal), { code: "not-supported" });
});

test("dials him where too few others got in as well, and there no other places either", async () => {
  const asker = new SignedNode(1);
  const record = asker.sign({ addresses: [] });
  const { callBack, dialled } = backCaller();
  const open = { host: "20.7.7.7", port: 9_000 };
  const unverified = [open, { host: "192.168.1.7", port: 8088 }, { host: "20.7.7.7", port: 22 }];
  assert.deepEqual(await callBack.call(asker.id, { record, unverified }, signal), { path: "tcp4" });
  assert.deepEqual(
    dialled.map(({ endpoints }) => endpoints),
    [[open]],
  );
});

test("believes a record of its own key only", async () => {
  const asker = new SignedNode(1);
  const record = asker.sign({ addresses: ["2a00::7"] });
  const { callBack, dialled } = backCaller();
  await assert.rejects(callBack.call(asker.id, { record: new SignedNode(2).sign() }, signal), { code: "bad-record" });
  const forged = { ...record, body: record.body.replace("2a00::7", "2a00::9") };
  await assert.rejects(callBack.call(asker.id, { record: forged }, signal), { code: "bad-record" });
  assert.deepEqual(dialled, []);
});

test("dials nobody often, whoever asks for it", async () => {
  const { callBack, dialled } = backCaller();
  for (let asked = 0; asked < 64; asked++) {
    const asker = new SignedNode(asked);
    await callBack
      .call(asker.id, { record: asker.sign({ addresses: ["2a00::7"] }) }, signal)
      .catch((error: unknown) => {
        assert.equal((error as { code?: unknown }).code, "too-often");
      });
  }
  assert.equal(dialled.length, 16);
});

test("dials where his own key has answered more often, there alone, and not without end", async () => {
  const asker = new SignedNode(1);
  const record = asker.sign({ addresses: ["2a00::7", "2a00::8"] });
  const { callBack, dialled } = backCaller(noNetworks, [], { remote: "[2a00::8]:8088" });
  for (let asked = 0; asked < 64; asked++) await callBack.call(asker.id, { record }, signal).catch(() => undefined);
  assert.equal(dialled[0]?.endpoints.length, 2);
  assert.deepEqual(dialled[1]?.endpoints, [{ host: "2a00::8", port: 8088 }]);
  assert.ok(dialled.length > 16 && dialled.length < 48, `${dialled.length}`);
});

test("dials for whom it knows more often than for strangers, and not without end", async () => {
  const friend = new SignedNode(1);
  const record = friend.sign({ addresses: ["2a00::7", "2a00::8"] });
  for (const [isKnown, least, most] of [
    [true, 32, 36],
    [false, 4, 4],
  ] as const) {
    const { callBack, dialled } = backCaller(noNetworks, [], { isKnown, answers: false });
    for (let asked = 0; asked < 64; asked++) await callBack.call(friend.id, { record }, signal).catch(() => undefined);
    assert.ok(dialled.length >= least && dialled.length <= most, `${dialled.length}`);
  }
});

interface Other {
  readonly remote?: string;
  readonly isKnown?: boolean;
  readonly answers?: boolean;
}

function backCaller(allowed = noNetworks, dialled: Dialable[] = [], other: Other = {}) {
  const { remote = "", isKnown = false, answers = true } = other;
  const answerOn = async (target: Dialable) => {
    dialled.push(target);
    if (!answers) throw new Failure("unreachable", "no answer");
    return { path: { kind: "tcp4", remote } as const, ended: Promise.resolve(), close: () => undefined };
  };
  return { callBack: new CallBack({ isKnown: () => isKnown, answerOn, allowed, clock: new VirtualClock() }), dialled };
}
