import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DaemonLab, type LabDaemon } from "../../test/support/daemon-lab.ts";
import { SignedNode } from "../../test/support/signed-node.ts";
import { silentLog, systemClock } from "../base/index.ts";
import { Twins } from "./twins.ts";

const node = new SignedNode(3);
const [mine, theirs] = ["0".repeat(16), "1".repeat(16)] as const;

describe("Twins", () => {
  test("outdoes what an earlier life said, and takes it for no twin", () => {
    const { twins, outdone } = lab();
    twins.heard(node.record({ seq: 7, boot: theirs }));
    twins.heard(node.record({ seq: 7, boot: theirs }));
    assert.deepEqual([outdone, twins.warnings], [[7, 7], []]);
  });

  test("knows one who comes back with a higher seq, and says so once", () => {
    const { twins } = lab();
    for (const seq of [7, 9, 11]) twins.heard(node.record({ seq, boot: theirs, addresses: ["20.0.0.9"] }));
    assert.equal(twins.warnings.length, 1);
    assert.match(twins.warnings[0] ?? "", /another machine uses the key of this node \(20\.0\.0\.9\)/);
  });

  test("is not afraid of its own records", () => {
    const { twins } = lab();
    for (const seq of [7, 9, 11]) twins.heard(node.record({ seq, boot: mine }));
    assert.equal(twins.met({ boot: mine, remote: "192.0.2.7:8088" }), false);
    assert.deepEqual(twins.warnings, []);
  });

  test("names where it met one", () => {
    const { twins } = lab();
    assert.equal(twins.met({ boot: theirs, remote: "[2001:db8::7]:8088" }), true);
    assert.match(twins.warnings[0] ?? "", /\(2001:db8::7\)/);
  });

  test("keeps little of what others make up", () => {
    const { twins } = lab();
    for (let i = 0; i < 1_000; i++) {
      const boot = i.toString(16).padStart(16, "0");
      for (const seq of [1, 2]) twins.heard(node.record({ seq, boot, addresses: [`20.0.${i >> 8}.${i & 255}`] }));
      twins.met({ boot: `f${boot.slice(1)}`, remote: `21.0.${i >> 8}.${i & 255}:1` });
    }
    assert.equal(twins.warnings.length, 8);
  });
});

describe("a home that was copied to a second machine", { timeout: 30_000 }, () => {
  test("is named on both when one dials the other", async () => {
    await using machines = await DaemonLab.open();
    const { attic, copy } = await copied(machines);
    await assert.rejects(
      copy.ask("POST", "/v1/nodes/identify", { address: attic.address }),
      /a copy of this node answers there/,
    );
    await bothSaySo([attic, copy]);
  });

  test("is named on both when others pass their records on", async () => {
    await using machines = await DaemonLab.open();
    const { attic, copy, barn } = await copied(machines);
    // Neither dials the other: each hears of it from barn, which believes now this one, now that.
    await eventually(async () => {
      for (const daemon of [attic, barn, copy, barn]) await daemon.ask("POST", "/v1/nodes/update", { hops: 1 });
      return (await ofTwins(attic)).length > 0 && (await ofTwins(copy)).length > 0;
    });
    await bothSaySo([attic, copy]);
  });

  test("is no matter for a node that dials itself", async () => {
    await using machines = await DaemonLab.open();
    const attic = await machines.start("attic");
    await assert.rejects(
      attic.ask("POST", "/v1/nodes/identify", { address: attic.address }),
      /this node itself answers there/,
    );
    assert.deepEqual(await ofTwins(attic), []);
  });

  test("is not believed of somebody without the key", async () => {
    await using machines = await DaemonLab.open();
    const attic = await machines.start("attic");
    const stranger = await machines.start("stranger");
    const { network } = stranger.daemon.parts;
    const { signal } = new AbortController();
    const link = await network.identify(attic.endpoint, signal);
    const { status } = await link.request({ method: "GET", path: `/v1/node?boot=${theirs}` }, signal);
    assert.deepEqual([status, await ofTwins(attic)], [200, []]);
  });
});

describe("a home that was restored from a backup", { timeout: 30_000 }, () => {
  test("jumps above what others hold, and is believed again", async () => {
    await using machines = await DaemonLab.open();
    const barn = await machines.start("barn");
    await machines.start("attic").then((attic) => attic.join(barn));
    await machines.stop("attic");
    await machines.copyHome("attic", "backup");
    const ahead = { ...systemClock, wallTime: () => systemClock.wallTime() + 3 * 86_400_000 };
    const before = await machines.start("attic", { clock: ahead, config: { info: "before" } });
    const { seq } = before.daemon.parts.own.latest.record;
    await eventually(async () => held(barn, before)?.info === "before");
    await machines.stop("attic");

    await machines.copyHome("backup", "attic");
    const restored = await machines.start("attic", { config: { info: "restored" } });
    await eventually(async () => {
      for (const daemon of [barn, restored]) await daemon.ask("POST", "/v1/nodes/update", { hops: 1 });
      return held(barn, restored)?.info === "restored";
    });
    assert.ok((held(barn, restored)?.seq ?? 0) > seq);
    assert.deepEqual(await ofTwins(restored), []);
  });
});

function lab() {
  const outdone: number[] = [];
  return { twins: new Twins({ boot: mine, outdo: (seq) => outdone.push(seq), log: silentLog }), outdone };
}

/** attic and its copy run at once, and both are friends of barn. */
async function copied(machines: DaemonLab) {
  const barn = await machines.start("barn");
  await machines.start("attic").then((attic) => attic.join(barn));
  await machines.stop("attic");
  await machines.copyHome("attic", "copy");
  const [attic, copy] = await Promise.all([machines.start("attic"), machines.start("copy")]);
  return { attic, copy, barn };
}

async function ofTwins(daemon: LabDaemon): Promise<readonly string[]> {
  return (await daemon.warnings()).filter((warning) => warning.includes("its home was copied"));
}

async function bothSaySo(daemons: readonly LabDaemon[]): Promise<void> {
  for (const daemon of daemons) {
    assert.equal((await ofTwins(daemon)).length, 1);
    const said = (await daemon.logLines()).filter((line) => line.includes("another machine uses the key of this node"));
    assert.equal(said.length, 1);
  }
}

function held(barn: LabDaemon, of: LabDaemon) {
  return barn.daemon.parts.table.nodes.get(of.id)?.record;
}

async function eventually(isSo: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (await isSo()) return;
    await systemClock.sleep(50, new AbortController().signal);
  }
  assert.fail("not within 5 s and some");
}
