import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { engineFacts, type EngineInfo } from "./engine-facts.ts";
import { engineSockets } from "./find-engine.ts";

const STOCK: EngineInfo = {
  ServerVersion: "28.2.2",
  SecurityOptions: ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"],
  MemoryLimit: true,
  PidsLimit: true,
  CpuCfsQuota: true,
};
const around = { podman: false, storageQuota: false, filters: true, rootful: true };

describe("engineFacts", () => {
  test("says that root in stock Docker is root of the host, and that its socket is as good as root", () => {
    const { walls, problems } = engineFacts({ ...around, info: STOCK });
    assert.deepEqual([walls.userNamespace, walls.uidRange, walls.diskQuota], [false, false, "watched"]);
    assert.match(problems.join("\n"), /userns-remap/);
    assert.match(problems.join("\n"), /group docker/);
  });

  test("gives no root inside where it would be root of the host", () => {
    const remapped = { ...STOCK, SecurityOptions: ["name=userns"] };
    assert.deepEqual(engineFacts({ ...around, info: STOCK }).profiles, ["strict"]);
    assert.deepEqual(engineFacts({ ...around, info: remapped }).profiles, ["strict", "dev"]);
  });

  test("finds nothing to say of a rootless engine with quotas", () => {
    const info = { ...STOCK, SecurityOptions: ["name=seccomp,profile=builtin", "name=rootless"] };
    const facts = engineFacts({ info, podman: false, storageQuota: true, filters: true, rootful: false });
    assert.deepEqual([facts.kind, facts.walls.userNamespace, facts.problems], ["docker", true, []]);
  });

  test("says of Podman what only it does, and nothing of Docker's", () => {
    const { kind, problems } = engineFacts({ ...around, info: STOCK, podman: true });
    assert.equal(kind, "podman");
    assert.match(problems.join("\n"), /\/etc\/hosts/);
    assert.doesNotMatch(problems.join("\n"), /docker|userns-remap/iu);
  });

  test("counts userns-remap as user namespaces", () => {
    const info = { ...STOCK, SecurityOptions: ["name=seccomp,profile=default", "name=userns"] };
    assert.equal(engineFacts({ ...around, info }).walls.userNamespace, true);
  });

  test("says which limits and walls an engine lacks", () => {
    const { walls, problems } = engineFacts({ ...around, filters: false, info: { ServerVersion: "1" } });
    assert.deepEqual(
      [walls.seccomp, walls.memoryLimit, walls.pidsLimit, walls.cpuLimit, walls.networkFilter],
      [false, false, false, false, false],
    );
    assert.match(problems.join("\n"), /nftables/);
    assert.match(problems.join("\n"), /delegation/);
  });
});

describe("engineSockets", () => {
  test("takes the one that a person named", () => {
    assert.deepEqual(engineSockets({ DOCKER_HOST: "unix:///x/y.sock", HOME: "/root" }), ["/x/y.sock"]);
  });

  test("refuses an engine on another machine", () => {
    for (const host of ["tcp://192.0.2.1:2376", "ssh://root@host"]) {
      assert.throws(() => engineSockets({ DOCKER_HOST: host }), { code: "not-supported" });
    }
  });

  test("prefers rootless ones", () => {
    assert.deepEqual(engineSockets({ XDG_RUNTIME_DIR: "/run/user/1000" }), [
      "/run/user/1000/docker.sock",
      "/run/user/1000/podman/podman.sock",
      "/var/run/docker.sock",
      "/run/podman/podman.sock",
    ]);
  });

  test("takes no relative folder", () => {
    assert.equal(engineSockets({ XDG_RUNTIME_DIR: "run", HOME: "." }).length, 2);
  });
});
