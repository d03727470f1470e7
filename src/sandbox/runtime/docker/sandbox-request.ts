/**
 * What is asked of the engine for a sandbox: every wall that an engine has, and no default left to it.
 *
 * Pure, so that a test compares all of it (`docs` of each field: the Engine API's ContainerCreate).
 */

import { Failure } from "../../../core/index.ts";
import { HELPER_PATH } from "../../helper/open-helper.ts";
import type { GpuDevice, SandboxSpec } from "../runtime.ts";
import type { PodmanWays } from "./podman.ts";
import { seccompProfile } from "./seccomp.ts";
import { residentOf } from "./way-inside.ts";
import { type Asked, GUEST_UID, labels, ourProgram } from "./words.ts";

/** What is known of the engine and of what was prepared for this sandbox. */
export interface Surroundings {
  readonly kind: "docker" | "podman";
  /** Whether root in there is nobody out here. */
  readonly userNamespace: boolean;
  /** Whether the engine itself can bound the writable layer. */
  readonly storageQuota: boolean;
  /** Whether the kernel knows gVisor's runtime. Only for sandboxes without network: its own network stack passes our rules by. */
  readonly gvisor: boolean;
  readonly keeper: string;
  readonly image: string;
  /** Variables of the image, as `NAME=VALUE`. */
  readonly env: readonly string[];
  /** Paths that the image declares as volumes: each would be room on the host's disk without a bound. */
  readonly volumes: readonly string[];
  readonly helperVolume: string;
  /** Of Podman alone. */
  readonly podman: PodmanWays | undefined;
  /** Whose network namespace it joins. Undefined: it has none but its own loopback. */
  readonly companion: string | undefined;
}

const MIB = 1024 ** 2;
const STRICT_HOME = "/home/guest";

/** What root of a user namespace needs so that `apt`, `sshd` and `su` work; never NET_RAW, MKNOD, SYS_ADMIN, SYS_PTRACE, SETFCAP. */
export const DEV_CAPABILITIES = [
  "CHOWN",
  "DAC_OVERRIDE",
  "FOWNER",
  "FSETID",
  "KILL",
  "NET_BIND_SERVICE",
  "SETGID",
  "SETUID",
  "SYS_CHROOT",
];
const MASKED = [
  "/proc/acpi",
  "/proc/asound",
  "/proc/interrupts",
  "/proc/kallsyms",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
  "/sys/kernel",
];
const READ_ONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/** @throws {Failure} not-supported: root without a user namespace would be root of the host's kernel */
export function sandboxRequest(spec: SandboxSpec, around: Surroundings) {
  if (spec.profile === "dev" && !around.userNamespace) {
    throw new Failure("not-supported", "this engine has no user namespaces, so it gives no sandbox of profile dev", {
      hint: "ask for `--profile strict`; the owner can turn on `userns-remap` or run the engine rootless",
    });
  }
  const strict = spec.profile === "strict";
  const env = strict ? [`HOME=${STRICT_HOME}`] : ["HOME=/root"];
  const first = beginsWithResident(spec, around.kind);
  return {
    Image: around.image,
    Hostname: around.companion === undefined ? spec.name : "",
    User: strict ? `${GUEST_UID}:${GUEST_UID}` : "0:0",
    WorkingDir: strict ? STRICT_HOME : "/",
    Entrypoint: first ? resident([...around.env, ...env]) : mainProgram(spec),
    Cmd: [],
    Env: env,
    Healthcheck: { Test: ["NONE"] },
    Tty: false,
    OpenStdin: first,
    StdinOnce: first,
    StopSignal: "SIGKILL",
    Labels: sandboxLabels(spec, around.keeper),
    HostConfig: {
      ...isolation(spec, around),
      ...limits(spec, around),
      ...fileSystems(spec, around),
      ...gpuRequests(spec.gpus, around.kind),
    },
  };
}

/**
 * Whether a container begins with a resident on its own standard streams, which spares an `exec` of 0.1 s or more. Not where a
 * command writes there, whose log the engine keeps; nor with Podman, where an `exec` costs a tenth of that.
 */
export function beginsWithResident({ command }: Pick<SandboxSpec, "command">, kind: Surroundings["kind"]): boolean {
  return command === undefined && kind === "docker";
}

/** It ends with the daemon that attached to it, and the sandbox does not: a later one enters by `exec`. */
function resident(env: readonly string[]): readonly string[] {
  return thenWait(residentOf(env));
}

/** Nothing of the guest's, or `command`, whose end is not the sandbox's. */
function mainProgram({ command }: SandboxSpec): readonly string[] {
  return command === undefined ? WAIT : thenWait(command);
}

const WAIT = [...ourProgram("sleep"), "infinity"];

/** The shell's text is constant; words are arguments. */
function thenWait(command: readonly string[]): readonly string[] {
  return [...ourProgram("sh"), "-c", `"$@"; exec ${WAIT.join(" ")}`, "command", ...command];
}

function sandboxLabels(spec: SandboxSpec, keeper: string): Record<string, string> {
  const asked: Asked = { diskBytes: spec.diskBytes };
  return {
    ...spec.labels,
    [labels.keeper]: keeper,
    [labels.role]: "sandbox",
    [labels.id]: spec.id,
    [labels.spec]: JSON.stringify(spec.labels),
    [labels.asked]: JSON.stringify(asked),
  };
}

function isolation({ profile, network }: SandboxSpec, around: Surroundings) {
  const { companion, gvisor } = around;
  if (network === "internet" && companion === undefined) throw new Error("a sandbox with a network needs a companion");
  return {
    Privileged: false,
    CapDrop: ["ALL"],
    CapAdd: profile === "dev" ? DEV_CAPABILITIES : [],
    SecurityOpt: securityOptions(around),
    NetworkMode: companion === undefined ? "none" : `container:${companion}`,
    // Else the engine writes the owner's resolvers into a sandbox that cannot reach them.
    ...(companion === undefined ? { Dns: ["127.0.0.1"], DnsSearch: ["."] } : {}),
    PidMode: "",
    IpcMode: "private",
    UTSMode: "",
    UsernsMode: "",
    CgroupnsMode: "private",
    MaskedPaths: MASKED,
    ReadonlyPaths: READ_ONLY,
    PublishAllPorts: false,
    ...(gvisor && companion === undefined ? { Runtime: "runsc" } : {}),
  };
}

/** Podman hides paths by an option, and passes over `MaskedPaths`. */
function securityOptions({ podman }: Surroundings): readonly string[] {
  if (podman === undefined) return ["no-new-privileges:true", `seccomp=${JSON.stringify(seccompProfile())}`];
  return ["no-new-privileges", `seccomp=${podman.seccompFile}`, `mask=${MASKED.join(":")}`];
}

function limits(spec: SandboxSpec, { kind, podman, storageQuota }: Surroundings) {
  const processes = podman === undefined ? [] : [limit("nproc", podman.maxProcesses)];
  return {
    Memory: spec.memoryBytes,
    /** Memory and swap together: no swap. */
    MemorySwap: spec.memoryBytes,
    NanoCpus: Math.round(spec.cpus * 1e9),
    /** An eighth of what the owner's own programs have, when all want. */
    CpuShares: 128,
    BlkioWeight: 100,
    PidsLimit: spec.pids,
    OomScoreAdj: 500,
    ShmSize: 64 * MIB,
    Ulimits: [limit("nofile", 4_096), limit("core", 0), limit("memlock", 65_536), ...processes],
    ...(storageQuota && spec.profile === "dev" ? { StorageOpt: { size: String(spec.diskBytes) } } : {}),
    LogConfig: spec.command === undefined ? NO_LOG : log(kind),
    RestartPolicy: { Name: "no", MaximumRetryCount: 0 },
    AutoRemove: false,
    Init: true,
  };
}

const limit = (name: string, value: number) => ({ Name: name, Soft: value, Hard: value });

/** Without a command there is nothing to log: what goes through the resident is nobody's. */
export const NO_LOG = { Type: "none", Config: {} };

function log(kind: Surroundings["kind"]) {
  return { Type: kind === "podman" ? "json-file" : "local", Config: { "max-size": "10m", "max-file": "3" } };
}

/** strict writes to memory only, which its limit bounds; dev to its own layer. Neither sees a path of the host. */
function fileSystems({ profile, diskBytes }: SandboxSpec, { kind, volumes, helperVolume }: Surroundings) {
  const strict = profile === "strict";
  const { own, inodes, mode } = kind === "podman" ? podmanTmpfs(strict) : dockerTmpfs(strict);
  const room = `size=${diskBytes}${inodes}`;
  const declared = volumes.map((path) => [path, `rw,nosuid,nodev,${room}${own}`]);
  return {
    ReadonlyRootfs: strict,
    Binds: [],
    VolumesFrom: null,
    Links: [],
    ExtraHosts: [],
    Devices: [],
    Mounts: [
      {
        Type: "volume",
        Source: helperVolume,
        Target: HELPER_PATH,
        ReadOnly: true,
        VolumeOptions: { NoCopy: true },
      },
    ],
    Tmpfs: {
      ...Object.fromEntries(declared),
      "/run": `rw,nosuid,nodev,size=${16 * MIB},${mode(755)}${own}`,
      ...(strict
        ? {
            "/tmp": `rw,nosuid,nodev,noexec,${room},mode=1777`,
            [STRICT_HOME]: `rw,nosuid,nodev,exec,${room},${mode(700)}${own}`,
          }
        : {}),
    },
  };
}

const dockerTmpfs = (strict: boolean) => ({
  own: strict ? `,uid=${GUEST_UID},gid=${GUEST_UID}` : "",
  inodes: ",nr_inodes=200k",
  mode: (mode: number) => `mode=${mode}`,
});

/**
 * Podman takes no owner here, so it is open to all: to the guest, as nobody else is in there. Nor does it take a number of
 * files: they count as memory. And it would first copy what the image has there.
 */
const podmanTmpfs = (strict: boolean) => ({
  own: ",notmpcopyup",
  inodes: "",
  mode: (mode: number) => `mode=${strict ? 1777 : mode}`,
});

/** Docker passes NVIDIA's cards by their ids; Podman by the names of the Container Device Interface. AMD's are device nodes. */
function gpuRequests(gpus: readonly GpuDevice[], kind: Surroundings["kind"]) {
  if (gpus.length === 0) return { DeviceRequests: [] };
  if (gpus.some(({ vendor }) => vendor !== "nvidia")) {
    throw new Failure("not-supported", "a container engine is only handed NVIDIA's cards so far");
  }
  const ids = gpus.map(({ uuid }) => uuid);
  return {
    DeviceRequests: [
      kind === "podman"
        ? { Driver: "cdi", Count: 0, DeviceIDs: ids.map((id) => `nvidia.com/gpu=${id}`) }
        : { Driver: "nvidia", Count: 0, DeviceIDs: ids, Capabilities: [["gpu"]], Options: {} },
    ],
  };
}
