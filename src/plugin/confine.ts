/**
 * The walls around a plugin that is not the person's own: bubblewrap, without any network, with the system's programs to
 * read and a home of its own that goes with the run. Never as root of this machine.
 */

import { access, chown, readdir, realpath, writeFile } from "node:fs/promises";
import { release } from "node:os";
import { delimiter, join } from "node:path";
import { Failure } from "../core/index.ts";
import { GATE_SOURCE } from "./gate.ts";
import type { Target } from "./needs.ts";
import { markRun } from "./run-inside.ts";

/** `nobody`, where this is root: inside of a user namespace root would still be root of this machine. */
const NOBODY = 65_534;
/** Where the folder of the run is, inside. */
export const WORK = "/work";
const TMP_BYTES = 512 * 1_024 ** 2;

export interface Confinement {
  /** bwrap and what stands before the program. */
  readonly argv: readonly string[];
  readonly user: { readonly uid: number; readonly gid: number } | undefined;
}

/** @throws {Failure} not-supported: plugins of others are not run without it */
export async function findBubblewrap(path: string): Promise<string> {
  for (const folder of path.split(delimiter).filter((one) => one.startsWith("/"))) {
    const found = await access(join(folder, "bwrap")).then(
      () => true,
      () => false,
    );
    if (found) return join(folder, "bwrap");
  }
  throw new Failure("not-supported", "a plugin of somebody else's is run behind walls, and bubblewrap is not here", {
    hint: "install it (`sudo apt-get install bubblewrap`); or read the plugin and add it from a folder: then it is your own",
  });
}

export interface Confined {
  readonly bwrap: string;
  /** Of the run. */
  readonly folder: string;
  /** Its path. */
  readonly program: string;
  /** With threads, at once. */
  readonly maxProcesses: number;
}

/** @throws {Failure} not-supported */
export async function confine({ bwrap, folder, program, maxProcesses }: Confined, uid: number): Promise<Confinement> {
  if (!(await realpath(program)).startsWith("/usr/")) {
    throw new Failure("not-supported", `behind the walls there is only /usr, and "${program}" is not in it`, {
      hint: "install Ansible with the packages of your system (`sudo apt-get install ansible-core`)",
    });
  }
  const inner = uid === 0 ? NOBODY : uid;
  await writeFile(join(folder, "passwd"), `p2prc:x:${inner}:${inner}::/tmp/home:/bin/sh\n`, { mode: 0o644 });
  if (uid === 0) await giveAway(folder);
  const links = ["bin", "sbin", "lib", "lib64", "lib32"].flatMap((name) => ["--symlink", `usr/${name}`, `/${name}`]);
  const argv = [
    ...[bwrap, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"],
    ...["--ro-bind", "/usr", "/usr", ...links],
    ...[
      "--ro-bind-try",
      "/etc/ld.so.cache",
      "/etc/ld.so.cache",
      "--ro-bind-try",
      "/etc/alternatives",
      "/etc/alternatives",
    ],
    ...["--ro-bind", join(folder, "passwd"), "/etc/passwd", "--proc", "/proc", "--dev", "/dev"],
    ...["--size", String(TMP_BYTES), "--tmpfs", "/dev/shm", "--remount-ro", "/dev"],
    ...["--size", String(TMP_BYTES), "--tmpfs", "/tmp", "--dir", "/tmp/home"],
    ...["--ro-bind", folder, WORK, "--remount-ro", "/", "--chdir", WORK, "--hostname", "p2prc", "--"],
    ...["python3", "-I", "-c", LIMITS, String(countsApart(release()) ? maxProcesses : 0), String(MAX_DATA_BYTES)],
  ];
  return { argv, user: uid === 0 ? { uid: NOBODY, gid: NOBODY } : undefined };
}

/** Of one process: what it writes to, not what it maps. */
const MAX_DATA_BYTES = 2 * 1_024 ** 3;
/** Where the memory of this machine runs out all the same, what is behind the walls goes first. */
const LIMITS = `import os, resource, sys
processes, data = int(sys.argv[1]), int(sys.argv[2])
if processes:
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
resource.setrlimit(resource.RLIMIT_DATA, (data, data))
with open("/proc/self/oom_score_adj", "w") as score:
    score.write("1000")
os.execv(sys.argv[3], sys.argv[3:])
`;

/** Since Linux 5.14 a user namespace has a count of its own; before, all that the person runs would count. */
export function countsApart(version: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  return major > 5 || (major === 5 && minor >= 14);
}

async function giveAway(folder: string): Promise<void> {
  const names = await readdir(folder, { recursive: true });
  for (const path of [folder, ...names.map((name) => join(folder, name))]) await chown(path, NOBODY, NOBODY);
}

/** For ssh inside: only through the gate, with the key of the run, and with the keys of its sandboxes known. */
export function confinedFiles(targets: readonly Target[], privateKey: string): Readonly<Record<string, string>> {
  return {
    "gate.py": GATE_SOURCE,
    key: privateKey,
    known_hosts: targets.map(({ id, hostKey }) => `${id}.p2prc ${hostKey}\n`).join(""),
  };
}

/** As Ansible's own default: all wait for the slowest before the next task, and each handshake is dear. */
export const PERSIST_S = 60;

export function confinedSsh(run: string): string {
  return `Host *.p2prc
  ${markRun(run)}
  ProxyCommand python3 -I ${WORK}/gate.py ${WORK}/gate %n
  IdentityFile ${WORK}/key
  IdentitiesOnly yes
  UserKnownHostsFile ${WORK}/known_hosts
  GlobalKnownHostsFile none
  StrictHostKeyChecking yes
  HostKeyAlgorithms ssh-ed25519
  UpdateHostKeys no
  PreferredAuthentications publickey
  BatchMode yes
  LogLevel ERROR
  ControlMaster auto
  ControlPath /tmp/m-%C
  ControlPersist ${PERSIST_S}
`;
}
