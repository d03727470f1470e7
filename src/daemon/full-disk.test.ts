import assert from "node:assert/strict";
import { describe, test, type TestContext } from "node:test";
import { DaemonLab, type LabDaemon } from "../../test/support/daemon-lab.ts";
import { SignedNode } from "../../test/support/signed-node.ts";
import { TinyDisk } from "../../test/support/tiny-disk.ts";

const ROOM = 1_500_000;
const barn = new SignedNode(2);

describe("a daemon on a full disk", { timeout: 30_000 }, () => {
  test("does not start, and says why, at whatever point it has no room any more", async (t) => {
    await onTinyDisk(t, async (disk, machines) => {
      for (const freeKiB of [0, 8, 16, 40]) {
        await disk.fill(freeKiB * 1024);
        await assert.rejects(machines.start("attic"), { code: "disk-full" }, `${freeKiB} KiB`);
        await disk.clear();
      }
      const attic = await machines.start("attic");
      assert.deepEqual((await fullness(attic)).length, 0);
    });
  });

  test("goes on, warns, does not say OK to what it cannot keep, and recovers", async (t) => {
    await onTinyDisk(t, async (disk, machines) => {
      const attic = await machines.start("attic");
      attic.daemon.parts.table.befriend({ id: barn.id, relation: "friend", name: "barn", endpoints: [] });
      await disk.fill();
      attic.daemon.parts.own.update({ info: "changed while the disk was full" });
      await assert.rejects(attic.ask("PATCH", "/v1/nodes/barn", { name: "shed" }), /507.*disk-full/);
      await assert.rejects(attic.ask("DELETE", "/v1/nodes/barn"), /507.*disk-full/);
      assert.equal((await attic.statusOf("GET", "/v1/nodes/barn")).status, 200);
      assert.equal((await fullness(attic)).length, 1);
      assert.equal(attic.daemon.failed.aborted, false);
      await disk.clear();
      await attic.ask("PATCH", "/v1/nodes/barn", { name: "shed" });
      await machines.stop("attic");
      const again = await machines.start("attic");
      assert.equal((await again.statusOf("GET", "/v1/nodes/shed")).status, 200);
    });
  });
});

async function onTinyDisk(t: TestContext, use: (disk: TinyDisk, machines: DaemonLab) => Promise<void>): Promise<void> {
  await using disk = await TinyDisk.mount(t, ROOM);
  if (disk === undefined) return;
  await using machines = await DaemonLab.open(disk.path);
  await use(disk, machines);
}

async function fullness(daemon: LabDaemon): Promise<readonly string[]> {
  return (await daemon.warnings()).filter((warning) => warning.includes("disk"));
}
