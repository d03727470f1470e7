import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { fakeResident } from "../../../test/support/fake-resident.ts";
import { VirtualClock } from "../../../test/support/virtual-clock.ts";
import { silentLog } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import { LateRuntime } from "./late-runtime.ts";
import { MemoryRuntime } from "./memory.ts";
import { pickRuntime, type RuntimeCandidate } from "./pick-runtime.ts";
import type { RuntimeFacts, RuntimeKind, Walls } from "./runtime.ts";
import { TimedRuntime } from "./timed-runtime.ts";

const { signal } = new AbortController();
const walls: Walls = new MemoryRuntime({ resident: fakeResident }).facts.walls;

describe("pickRuntime", () => {
  test("prefers the better walls to the quicker start", async () => {
    const weak = candidate("bubblewrap", { walls: { ...walls, memoryLimit: false } });
    const { runtime, passedOver } = await pickRuntime([weak, candidate("docker")], silentLog, signal);
    assert.equal(runtime?.facts.kind, "docker");
    assert.deepEqual(passedOver, ["bubblewrap: docker was preferred"]);
  });

  test("prefers bubblewrap to an engine whose root is the host's", async () => {
    const stock = candidate("docker", { walls: { ...walls, userNamespace: false, diskQuota: "watched" } });
    const small = candidate("bubblewrap", { images: "archives", walls: { ...walls, diskQuota: "watched" } });
    assert.equal((await pickRuntime([small, stock], silentLog, signal)).runtime?.facts.kind, "bubblewrap");
  });

  test("takes the first of equals", async () => {
    const both = [candidate("bubblewrap"), candidate("docker")];
    assert.equal((await pickRuntime(both, silentLog, signal)).runtime?.facts.kind, "bubblewrap");
  });

  test("says why none can be had", async () => {
    const { runtime, passedOver } = await pickRuntime([missing], silentLog, signal);
    assert.equal(runtime, undefined);
    assert.deepEqual(passedOver, ["docker: no engine answers: start one"]);
  });
});

describe("LateRuntime", () => {
  test("looks when it is first needed, and once", async () => {
    let opened = 0;
    const counted = candidate("docker", {}, () => void opened++);
    await using late = new LateRuntime({ candidates: [counted], clock: new VirtualClock(), log: silentLog });
    assert.deepEqual([opened, late.found, late.facts.profiles], [0, false, []]);
    await Promise.all([late.list(signal), late.list(signal), late.ready()]);
    assert.deepEqual([opened, late.found, late.facts.kind], [1, true, "docker"]);
  });

  test("looks again after a while where there was none", async () => {
    const clock = new VirtualClock();
    const candidates: RuntimeCandidate[] = [missing];
    await using late = new LateRuntime({ candidates, clock, log: silentLog });
    await assert.rejects(late.list(signal), { code: "not-supported", message: /no engine answers/ });
    candidates.push(candidate("bubblewrap"));
    await assert.rejects(late.list(signal), { code: "not-supported" });
    await clock.advance(30_000);
    assert.deepEqual(await late.list(signal), []);
  });
});

describe("TimedRuntime", () => {
  test("gives up on an engine that hangs, and calls what breaks a failure", async () => {
    const clock = new VirtualClock();
    const inner = new MemoryRuntime({ resident: fakeResident });
    const hanging = new TimedRuntime(Object.assign(inner, { list: () => new Promise<never>(() => undefined) }), clock);
    const listed = assert.rejects(hanging.list(signal), { code: "timed-out" });
    await clock.advance(15_000);
    await listed;
    const broken = new TimedRuntime(Object.assign(inner, { list: () => Promise.reject(new Error("EPIPE")) }), clock);
    await assert.rejects(broken.list(signal), { code: "runtime-failed", message: /could not list sandboxes: EPIPE/ });
  });

  test("lets an abort pass as it is", async () => {
    const timed = new TimedRuntime(new MemoryRuntime({ resident: fakeResident }), new VirtualClock());
    await assert.rejects(timed.list(AbortSignal.abort(new Error("gone"))), /gone/);
  });
});

const missing: RuntimeCandidate = {
  kind: "docker",
  open: () => Promise.reject(new Failure("not-supported", "no engine answers", { hint: "start one" })),
};

function candidate(kind: RuntimeKind, facts: Partial<RuntimeFacts> = {}, opened = () => undefined as void) {
  const open = async () => {
    opened();
    return new MemoryRuntime({ resident: fakeResident }, { facts: { kind, ...facts } });
  };
  return { kind, open } satisfies RuntimeCandidate;
}
