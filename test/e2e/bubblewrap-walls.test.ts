/** What somebody inside tries, against real walls: the kernel's, the file system's, the limits. Everything here is undone. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, describe, test } from "node:test";
import type { Profile } from "../../src/sandbox/runtime/runtime.ts";
import type { SandboxId } from "../../src/sandbox/runtime/sandbox-id.ts";
import { bubblewrapSkip, BubblewrapWorld } from "../support/bubblewrap-world.ts";

const MIB = 1024 ** 2;
const { signal } = new AbortController();
const skip = bubblewrapSkip();
const root = process.getuid?.() === 0;
const options = { skip, timeout: 60_000 };

for (const profile of ["dev", "strict"] as const)
  describe(`inside of a sandbox (${profile})`, options, () => corpus(profile));

function corpus(profile: Profile): void {
  let world: BubblewrapWorld;
  let id: SandboxId;
  before(async () => {
    world = await BubblewrapWorld.open();
    id = await world.make({ profile });
  });
  after(async () => world[Symbol.asyncDispose]());
  const fails = async (line: string, why: RegExp) => {
    const { out, code } = await world.sh(id, line);
    assert.notEqual(code, 0, `it worked: ${line}`);
    assert.match(out, why);
  };

  test("nobody writes in /proc/sys, not even of its own namespaces", async () => {
    await fails("echo 1 > /proc/sys/vm/overcommit_memory", /Read-only|denied/);
    await fails("echo x > /proc/sys/kernel/core_pattern", /Read-only|denied/);
    await fails("echo 1 > /proc/sys/net/ipv4/ip_forward", /Read-only|denied/);
    assert.doesNotMatch(await readFile("/proc/sys/kernel/core_pattern", "utf8"), /^x$/);
  });

  test("nobody mounts, unmounts or changes the root", async () => {
    await fails("mount -t tmpfs x /mnt", /denied|permitted|superuser/);
    await fails("umount /proc", /./);
    await fails("mount -o remount,rw /usr", /denied|permitted|superuser/);
    await fails("touch /usr/x", /Read-only/);
  });

  test("nobody makes or joins a namespace", async () => {
    await fails("unshare --user true", /permitted/);
    await fails("unshare --net true", /permitted/);
    await fails("nsenter --target 1 --net true", /permitted|denied/);
    await fails("nsenter --target 2 --mount true", /permitted|denied/);
  });

  test("nobody looks into another process by its memory", async () => {
    await fails("dd if=/proc/1/mem of=/dev/null bs=1 count=1 skip=4096", /denied|error|permitted/i);
  });

  test("nobody changes the network, its filter or its interfaces", async () => {
    await fails("nft flush ruleset", /permitted|supported|denied|not found/);
    await fails("ip link set lo down", /permitted/);
    await fails("ip link add x type veth", /permitted/);
  });

  test("no rights are to be had from programs that give some", async () => {
    const { out } = await world.sh(id, "grep -E '^(CapBnd|CapEff|NoNewPrivs|Seccomp):' /proc/self/status");
    assert.match(out, /NoNewPrivs:\t1/);
    assert.match(out, /Seccomp:\t2/);
    // CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID, NET_BIND_SERVICE, SYS_CHROOT for root; else nothing.
    const most = world.runtime.facts.walls.uidRange && profile === "dev" ? "00000000000404fb" : "0000000000000000";
    assert.match(out, new RegExp(`CapEff:\t${most}`));
    assert.match(out, new RegExp(`CapBnd:\t${most}`));
  });

  test("nobody inside is root of this machine", async () => {
    const { out } = await world.sh(id, "cat /proc/self/uid_map");
    assert.doesNotMatch(out, /^\s*\d+\s+0\s+(?!1$)\d+$/m);
    const [found] = await world.processes(id);
    assert.ok(
      found?.uids.every((uid) => uid !== 0 || !root),
      JSON.stringify(found),
    );
  });

  test("nothing of the owner's files is there", async () => {
    const { out } = await world.sh(
      id,
      "ls -A /home /root /tmp /run /mnt /srv /var /sys 2>/dev/null; cat /etc/passwd /etc/shadow",
    );
    assert.doesNotMatch(out, /p2prc-walls|docker|ssh_host/);
    assert.doesNotMatch((await world.sh(id, "cat /proc/1/cmdline /proc/1/environ")).out, /p2prc-walls/);
    assert.notEqual((await world.sh(id, `ls ${world.home}`)).code, 0);
  });

  test("no device but the harmless ones is there, and none can be made", async () => {
    assert.equal((await world.sh(id, "find /dev -type b | wc -l")).out.trim(), "0");
    await fails("mknod /tmp/sda b 8 0", /permitted|denied/);
    await fails("mknod /tmp/mem c 1 1", /permitted|denied/);
    await fails("cat /proc/kcore", /./);
    assert.equal((await world.sh(id, "cat /proc/kallsyms /proc/timer_list 2>/dev/null | wc -c")).out.trim(), "0");
  });

  test("it sees its own processes alone, and sends signals to no others", async () => {
    const { out } = await world.sh(id, "ls -d /proc/[0-9]* | wc -l");
    assert.ok(Number(out) < 12, out);
    await fails(`kill -0 ${process.pid + 100_000}`, /./);
  });

  test("nothing that the daemon had open is open inside", async () => {
    const { out } = await world.sh(id, "ls -l /proc/self/fd /proc/2/fd 2>/dev/null");
    assert.doesNotMatch(out, /p2prc-walls(?!.*log\/errors)|seccomp/);
  });
}

describe("a bomb inside", {
  ...options,
  skip: skip || (root ? false : "limits need control groups, and those root here"),
}, () => {
  test("of processes ends at its limit, and the next one stays quick", async () => {
    await using world = await BubblewrapWorld.open();
    const [bomb, other] = await Promise.all([world.make({ pids: 64 }), world.make()]);
    const exploding = world.sh(bomb, "f() { f | f & }; f; sleep 2; true").catch(() => undefined); // it ends with the sandbox
    await new Promise((resolve) => setTimeout(resolve, 500));
    const started = performance.now();
    assert.equal((await world.sh(other, "echo still here")).out, "still here\n");
    const tookMs = performance.now() - started;
    assert.ok(tookMs < 2_000, `${tookMs} ms`);
    assert.ok((await world.runtime.stats(bomb, signal)).pids <= 64);
    await world.runtime.remove(bomb, signal);
    await exploding;
    assert.equal((await world.processes(bomb)).length, 0);
  });

  test("of memory is ended inside, and nowhere else", async () => {
    await using world = await BubblewrapWorld.open();
    const bomb = await world.make({ memoryBytes: 192 * MIB });
    const { code } = await world
      .sh(bomb, "head -c 1G /dev/zero | tail -c 900M > /dev/null")
      .catch(() => ({ code: "lost" }));
    assert.notEqual(code, 0);
    assert.ok((await world.runtime.stats(bomb, signal)).memoryBytes <= 192 * MIB);
  });

  test("of files in memory stops at the size of the folder", async () => {
    await using world = await BubblewrapWorld.open();
    const bomb = await world.make({ memoryBytes: 256 * MIB });
    const { out } = await world.sh(
      bomb,
      "head -c 200M /dev/zero > /tmp/x; head -c 100M /dev/zero > /dev/shm/y; head -c 99M /dev/zero > /run/z",
    );
    assert.equal(out.match(/No space left/g)?.length, 3);
  });

  test("of disk is frozen, and says why", async () => {
    await using world = await BubblewrapWorld.open();
    const bomb = await world.make({ diskBytes: 32 * MIB });
    await world.sh(bomb, "head -c 64M /dev/zero > /var/tmp/x");
    const found = await world.until(bomb, ({ state }) => state === "paused");
    assert.match(found.reason ?? "", /^disk quota: /);
  });

  test("of small files is frozen too", async () => {
    await using world = await BubblewrapWorld.open();
    const bomb = await world.make({ diskBytes: 1024 * MIB });
    void world.sh(bomb, "cd /var/tmp; seq 70000 | xargs touch").catch(() => undefined);
    const found = await world.until(bomb, ({ state }) => state === "paused");
    assert.match(found.reason ?? "", /files of/);
  });

  test("of log lines keeps the last ones, and no more than it may", async () => {
    await using world = await BubblewrapWorld.open();
    const bomb = await world.make({ command: ["sh", "-c", "seq 4000000; echo end; exec sleep 60"] });
    const last = async () => await world.log(bomb, 1);
    for (let turn = 0; turn < 200 && (await last()) !== "end\n"; turn++)
      await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(await last(), "end\n");
    assert.ok((await world.runtime.stats(bomb, signal)).diskBytes < 24 * MIB);
    assert.ok((await world.log(bomb, 100_000)).startsWith("39"));
  });

  test("of open files, folders in folders and a name that a shell would run leave nothing behind", async () => {
    await using world = await BubblewrapWorld.open();
    const bomb = await world.make();
    await world.sh(
      bomb,
      'cd /var/tmp; touch -- "-rf" "$(printf "a\\nb")" ";id" "\\$(id)"; for i in $(seq 1500); do mkdir 0123456789 && cd 0123456789 || break; done',
    );
    await world.runtime.remove(bomb, signal);
    assert.deepEqual(await world.runtime.list(signal), []);
  });
});
