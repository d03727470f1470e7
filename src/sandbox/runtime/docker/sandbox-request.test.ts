import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { sandboxSpec } from "../../../../test/contract/runtime.ts";
import type { GpuDevice, SandboxSpec } from "../runtime.ts";
import { parseSandboxId } from "../sandbox-id.ts";
import { companionRequest } from "./companion.ts";
import { sandboxRequest, type Surroundings } from "./sandbox-request.ts";
import { seccompProfile } from "./seccomp.ts";

const GIB = 1024 ** 3;

describe("what is asked of the engine", () => {
  for (const profile of ["strict", "dev"] as const) {
    test(`is for ${profile} what the file beside the tests says, all of it`, () => {
      const wanted = spec({ profile, network: profile === "dev" ? "internet" : "none" });
      const asked = sandboxRequest(wanted, { ...around, companion: profile === "dev" ? "c0ffee" : undefined });
      assert.deepEqual(withoutProfile(asked), golden(profile));
    });
  }

  test("is for the companion what the file says: NET_ADMIN, and nothing else", () => {
    const asked = companionRequest(spec(), { keeper: "me", image: "helper", kind: "docker", nameServers: ["9.9.9.9"] });
    assert.deepEqual(JSON.parse(JSON.stringify(asked)), golden("companion"));
  });

  test("gives no dev where root would be root of the host", () => {
    const stock = { ...around, userNamespace: false };
    assert.throws(() => sandboxRequest(spec({ profile: "dev" }), stock), { code: "not-supported" });
  });

  test("never joins a network without a companion", () => {
    assert.throws(() => sandboxRequest(spec({ network: "internet" }), around), /needs a companion/);
  });

  test("hands over NVIDIA's cards by their ids, to Podman by their CDI names", () => {
    const gpus = [gpu("GPU-1"), gpu("GPU-2")];
    const requests = (kind: "docker" | "podman") =>
      sandboxRequest(spec({ gpus }), { ...around, kind }).HostConfig.DeviceRequests;
    assert.deepEqual(requests("docker"), [
      { Driver: "nvidia", Count: 0, DeviceIDs: ["GPU-1", "GPU-2"], Capabilities: [["gpu"]], Options: {} },
    ]);
    assert.deepEqual(requests("podman"), [
      { Driver: "cdi", Count: 0, DeviceIDs: ["nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2"] },
    ]);
  });

  test("tells Podman in its own words: a filter in a file, hidden paths as an option, no owner of memory", () => {
    const { SecurityOpt, Ulimits, Tmpfs, MaskedPaths } = sandboxRequest(spec(), podman).HostConfig;
    const filter = "seccomp=/home/me/seccomp-podman.json";
    assert.deepEqual(SecurityOpt, ["no-new-privileges", filter, `mask=${MaskedPaths.join(":")}`]);
    assert.deepEqual(Ulimits.at(-1), { Name: "nproc", Soft: 9_000, Hard: 9_000 });
    assert.doesNotMatch(JSON.stringify(Tmpfs), /,uid=|nr_inodes/u);
    assert.match(
      JSON.stringify(Tmpfs),
      /"\/home\/guest":"rw,nosuid,nodev,exec,size=2147483648,mode=1777,notmpcopyup"/u,
    );
  });

  test("asks for gVisor only where our rules are not the wall", () => {
    const gvisor = { ...around, gvisor: true };
    assert.equal(runtimeOf(sandboxRequest(spec({ network: "none" }), gvisor)), "runsc");
    const network = sandboxRequest(spec({ network: "internet" }), { ...gvisor, companion: "c0ffee" });
    assert.equal(runtimeOf(network), undefined);
  });

  test("bounds the layer of dev where the engine can", () => {
    const asked = sandboxRequest(spec({ profile: "dev" }), { ...around, storageQuota: true });
    assert.deepEqual((asked.HostConfig as { StorageOpt?: object }).StorageOpt, { size: String(2 * GIB) });
  });

  test("puts memory where an image wants a volume of the host", () => {
    const { Tmpfs } = sandboxRequest(spec(), { ...around, volumes: ["/var/lib/data"] }).HostConfig;
    assert.match((Tmpfs as Record<string, string>)["/var/lib/data"] ?? "", /^rw,nosuid,nodev,size=\d+/);
  });

  test("keeps the log of a command, and none of what goes through a resident", () => {
    const log = (asked: ReturnType<typeof sandboxRequest>) => [asked.OpenStdin, asked.HostConfig.LogConfig.Type];
    assert.deepEqual(log(sandboxRequest(spec({ command: ["make"] }), around)), [false, "local"]);
    assert.deepEqual(log(sandboxRequest(spec(), around)), [true, "none"]);
    assert.deepEqual(log(sandboxRequest(spec({ command: ["make"] }), podman)), [false, "json-file"]);
    assert.deepEqual(log(sandboxRequest(spec(), podman)), [false, "none"]);
  });

  test("passes the words of a command on as arguments, never as text of a shell", () => {
    const command = ["echo", "$(id)", "a b", "; rm -rf /", "-flag", "\n"];
    const { Entrypoint } = sandboxRequest(spec({ command }), around);
    assert.deepEqual(Entrypoint.slice(-command.length), command);
    assert.equal(Entrypoint.filter((word) => word.includes("$(id)")).length, 1);
  });
});

describe("the seccomp profile", () => {
  const allowed = new Set(
    seccompProfile().syscalls.flatMap(({ names, action }) => (action === "SCMP_ACT_ALLOW" ? names : [])),
  );

  test("allows none of what gave kernels away", () => {
    const never = `ptrace process_vm_readv process_vm_writev kcmp keyctl add_key request_key io_uring_setup io_uring_enter
      io_uring_register userfaultfd bpf perf_event_open mount umount2 move_mount fsopen fsmount fsconfig open_tree
      mount_setattr pivot_root unshare setns kexec_load init_module finit_module delete_module open_by_handle_at
      name_to_handle_at quotactl reboot swapon iopl ioperm clone3 syslog fanotify_init lookup_dcookie clock_settime
      settimeofday modify_ldt pidfd_getfd process_madvise nfsservctl acct sethostname setdomainname`;
    assert.deepEqual(
      never.split(/\s+/u).filter((name) => allowed.has(name)),
      [],
    );
  });

  test("names the families of sockets that there are", () => {
    const families = seccompProfile().syscalls.filter(
      ({ names, action }) => names[0] === "socket" && action === "SCMP_ACT_ALLOW",
    );
    assert.deepEqual(
      families.map(({ args }) => args?.[0]?.value).sort((one, other) => (one ?? 0) - (other ?? 0)),
      [1, 2, 10, 16],
    );
  });

  test("knows no system call twice", () => {
    const names = seccompProfile().syscalls[0]?.names ?? [];
    assert.equal(new Set(names).size, names.length);
  });
});

const around: Surroundings = {
  kind: "docker",
  userNamespace: true,
  storageQuota: false,
  gvisor: false,
  keeper: "me",
  image: "sha256:1",
  volumes: [],
  env: ["LANG=C.UTF-8", "HOME=/elsewhere", "TERM=xterm"],
  helperVolume: "p2prc-helper-1",
  podman: undefined,
  companion: undefined,
};
const podman: Surroundings = {
  ...around,
  kind: "podman",
  podman: { seccompFile: "/home/me/seccomp-podman.json", maxProcesses: 9_000 },
};

function spec(choices: Partial<SandboxSpec> = {}): SandboxSpec {
  const id = parseSandboxId("aaaabbbbccccdddd");
  return sandboxSpec({ id, profile: "strict", cpus: 1.5, memoryBytes: GIB, diskBytes: 2 * GIB, pids: 256, ...choices });
}

function gpu(uuid: string): GpuDevice {
  return { vendor: "nvidia", index: 0, uuid, model: "RTX 4090", memoryBytes: 24 * GIB };
}

const runtimeOf = ({ HostConfig }: { HostConfig: object }) => (HostConfig as { Runtime?: string }).Runtime;

function golden(name: string): unknown {
  const path = join(import.meta.dirname, "../../../../test/vectors/engine-requests", `${name}.json`);
  return JSON.parse(readFileSync(path, "utf8"));
}

/** The profile has tests of its own, and would hide the rest. */
function withoutProfile(asked: object): unknown {
  const text = JSON.stringify(asked);
  return JSON.parse(text, (_key, value: unknown) =>
    typeof value === "string" && value.startsWith("seccomp=") ? "seccomp=<ours>" : value,
  );
}
