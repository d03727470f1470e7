/** A sandbox of a real engine, from the command line of a guest to the command line inside. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { DockerLab, whyNoDocker } from "../support/docker-lab.ts";
import { LendingLab } from "../support/lending-lab.ts";

const noSsh = spawnSync("ssh", ["-V"]).error !== undefined;

describe("a sandbox of an engine", { skip: whyNoDocker(), timeout: 240_000 }, () => {
  test("is started, entered, filled by cp and by ssh, and removed, by the commands that do it everywhere", async () => {
    await using docker = await DockerLab.open({ userns: true });
    await using lab = await LendingLab.open({
      environment: { P2PRC_RUNTIME: "docker", DOCKER_HOST: `unix://${docker.engine.socketPath}` },
    });
    const touched = await lab.barn(
      "touch",
      "attic",
      "--name",
      "box",
      "--image",
      "p2prc-test:tiny",
      "--network",
      "none",
    );
    assert.equal(touched.exit, 0, touched.lines.join("\n"));
    assert.match((await lab.attic("status")).lines.join("\n"), /Sandboxes by: +docker/);
    assert.match((await lab.barn("info", "attic")).lines.join("\n"), /Sandboxes by: +docker \(/);

    const ran = await lab.bytes(["exec", "box", "--", "sh", "-c", "cat; id -u; exit 7"], Buffer.from("hello "));
    assert.deepEqual([ran.exit, String(ran.stdout)], [7, "hello 0\n"]);

    const file = join(lab.machines.folder, "file");
    const content = randomBytes(2 ** 20);
    await writeFile(file, content);
    const there = await lab.barn("cp", file, "box:there");
    assert.equal(there.exit, 0, there.lines.join("\n"));
    const back = await lab.barn("cp", "box:there", `${file}-back`);
    assert.equal(back.exit, 0, back.lines.join("\n"));
    assert.deepEqual(await readFile(`${file}-back`), content);

    if (!noSsh) {
      const ssh = await lab.bytes(["ssh", "box", "--", "echo by ssh; exit 4"]);
      assert.deepEqual([ssh.exit, String(ssh.stdout)], [4, "by ssh\n"], String(ssh.stderr));
    }

    const removed = await lab.barn("rm", "box");
    assert.equal(removed.exit, 0, removed.lines.join("\n"));
    const query = { all: true, filters: JSON.stringify({ label: ["p2prc.role=sandbox"] }) };
    const call = { method: "GET", path: "/containers/json", query } as const;
    assert.deepEqual(await docker.engine.ask(call, AbortSignal.timeout(10_000)), []);
  });

  test("is entered by ssh where its image does not know the user that it runs as", { skip: noSsh }, async () => {
    await using docker = await DockerLab.open();
    await docker.importDebian("p2prc-test:debian");
    await using lab = await LendingLab.open({
      environment: { P2PRC_RUNTIME: "docker", DOCKER_HOST: `unix://${docker.engine.socketPath}` },
    });
    const file = join(lab.machines.folder, "file");
    await writeFile(file, "content\n");
    const config = ["-F", join(lab.machines.homeOf("barn"), "ssh_config")];
    for (const image of ["tiny", "debian"]) {
      const touched = await lab.barn(
        "touch",
        "attic",
        "--name",
        image,
        "--image",
        `p2prc-test:${image}`,
        "--network",
        "none",
      );
      assert.equal(touched.exit, 0, touched.lines.join("\n"));
      const ssh = await lab.bytes(["ssh", image, "--", "id -u; pwd; cat /etc/passwd | grep 10001; exit 4"]);
      assert.deepEqual([ssh.exit, String(ssh.stdout)], [4, "10001\n/home/guest\n"], String(ssh.stderr));
      const terminal = spawnSync("ssh", [...config, "-tt", `${image}.p2prc`, "test -t 0 && echo a terminal"]);
      assert.match(String(terminal.stdout), /a terminal/, String(terminal.stderr));
      const copied = spawnSync("scp", [...config, file, `${image}.p2prc:there`]);
      assert.equal(copied.status, 0, String(copied.stderr));
      assert.equal(String((await lab.bytes(["exec", image, "--", "cat", "there"])).stdout), "content\n");
    }
  });
});
