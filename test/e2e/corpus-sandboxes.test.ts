/** What could be done to the first P2PRC by whom it had given a container, and by whom it had only heard of: tried on real sandboxes. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bubblewrapSkip } from "../support/bubblewrap-world.ts";
import { EvilNode } from "../support/evil-node.ts";
import { LendingLab } from "../support/lending-lab.ts";

const noSsh = spawnSync("ssh", ["-V"]).error !== undefined;

describe("what could be done to the first P2PRC from a container", { skip: bubblewrapSkip(), timeout: 240_000 }, () => {
  let lab: LendingLab;
  before(async () => {
    lab = await LendingLab.open();
    const touched = await lab.barn("touch", "attic", "--name", "box");
    assert.equal(touched.exit, 0, touched.lines.join("\n"));
  });
  after(async () => await lab[Symbol.asyncDispose]());

  test("B2: every tenant wrote to the host's /tmp, for ever; here nothing inside is the host's, and all of it ends", async () => {
    const mark = `p2prc-mark-${process.pid}`;
    const home = lab.machines.homeOf("attic");
    const said = await lab.bytes([
      ...["exec", "box", "--", "sh", "-c"],
      `touch /tmp/${mark} /data/${mark}; cat ${home}/key; ls -d ${home} ${dirname(home)}; id -u`,
    ]);
    assert.match(String(said.stderr), /data/);
    assert.match(String(said.stderr), /key/);
    assert.doesNotMatch(String(said.stdout), /p2prc-machines/);
    for (const folder of ["/tmp", "/data", lab.machines.folder])
      assert.equal(existsSync(join(folder, mark)), false, folder);
    await lab.barn("touch", "attic", "--name", "other");
    const seen = await lab.bytes(["exec", "other", "--", "ls", "/tmp"]);
    assert.deepEqual([seen.exit, String(seen.stdout).includes(mark)], [0, false]);
    const { lines } = await lab.attic("ps", "--guests", "--json");
    const { sandboxes } = JSON.parse(lines.find((line) => line.startsWith("{")) ?? "") as {
      sandboxes: { sandbox: { cpus: number; memoryBytes: number; diskBytes: number; expires: number; made: number } }[];
    };
    assert.equal(sandboxes.length, 2);
    for (const { sandbox } of sandboxes) {
      assert.ok(sandbox.cpus > 0 && sandbox.memoryBytes > 0 && sandbox.diskBytes > 0);
      assert.ok(sandbox.expires - sandbox.made <= 2 * 3_600_000 + 60_000);
    }
    await lab.barn("rm", "other");
  });

  test("B8: keys out of gossip got a shell on the host; here no key but the guest's opens anything, and no host file has one", async () => {
    await using evil = await EvilNode.open();
    const key = `ssh-ed25519 ${"B".repeat(68)} evil`;
    evil.describe({ addresses: ["127.0.0.1"], port: Number(evil.address.split(":")[1]), info: key });
    evil.say("/v1/table", { records: [evil.record], cursor: "0123456789abcdef.1", more: false });
    for (const machine of ["attic", "barn"]) {
      const added = await lab.machines.run(machine, ["add", evil.address, "--key", evil.id]);
      assert.equal(added.exit, 0, added.lines.join("\n"));
      assert.equal((await lab.machines.run(machine, ["update"])).exit, 0);
      assert.equal(existsSync(join(dirname(lab.machines.homeOf(machine)), ".ssh")), false);
    }
    const { lines } = await lab.barn("info", evil.id);
    assert.ok(lines.join("\n").includes(key), lines.join("\n"));
    const inside = await lab.bytes([
      "exec",
      "box",
      "--",
      "sh",
      "-c",
      "cat /run/p2prc/ssh/authorized_keys /run/p2prc/authorized_keys ~/.ssh/authorized_keys; true",
    ]);
    assert.doesNotMatch(String(inside.stdout), /BBBB/);
  });

  test("B11: everybody's password was `password`, and no host key was looked at", {
    skip: noSsh && "SKIPPED: ssh is not installed",
  }, async () => {
    const home = lab.machines.homeOf("barn");
    const config = join(home, "ssh_config");
    const ssh = (...options: string[]) =>
      spawnSync("ssh", ["-F", config, "-o", "BatchMode=yes", "-S", "none", ...options, "box.p2prc", "echo in"], {
        encoding: "utf8",
        timeout: 20_000,
      });
    assert.equal(ssh().stdout, "in\n");
    const noKey = ssh("-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password,keyboard-interactive");
    assert.deepEqual([noKey.status, noKey.stdout], [255, ""]);
    assert.match(noKey.stderr, /Permission denied \(publickey\)/);
    const text = await readFile(config, "utf8");
    assert.match(text, /StrictHostKeyChecking yes/);
    assert.doesNotMatch(text, /StrictHostKeyChecking (?:no|off|ask|accept-new)|assword /);
    for (const name of ["ssh_config", "ssh_key", "ssh_known_hosts"])
      assert.equal((await stat(join(home, name))).mode & 0o077, 0, name);
    const known = await readFile(join(home, "ssh_known_hosts"), "utf8");
    await writeFile(
      join(home, "ssh_known_hosts"),
      known.replaceAll(/AAAAC3NzaC1lZDI1NTE5AAAAI\S+/g, `AAAAC3NzaC1lZDI1NTE5AAAAI${"A".repeat(43)}`),
    );
    const another = ssh();
    assert.deepEqual([another.status, another.stdout], [255, ""]);
    await writeFile(join(home, "ssh_known_hosts"), known);
    const seed = await lab.bytes(["--touch", "attic", "--name", "seed"]);
    assert.equal((JSON.parse(String(seed.stdout)) as { SSHPassword: string }).SSHPassword, "");
    await lab.barn("rm", "seed");
  });
});
