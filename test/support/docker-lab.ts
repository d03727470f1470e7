/**
 * A Docker engine of a test's own: `dockerd` in a network namespace without a way out, with its own folders and its own view
 * of processes, so that nothing of it is left when it ends, however it ends.
 */

import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync } from "node:fs";
import { chmod, mkdtemp, open, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { setTimeout as after } from "node:timers/promises";
import { silentLog, systemClock } from "../../src/base/index.ts";
import { type Helper, openHelper } from "../../src/sandbox/helper/open-helper.ts";
import type { DockerRuntime } from "../../src/sandbox/runtime/docker/docker-runtime.ts";
import { Engine } from "../../src/sandbox/runtime/docker/engine.ts";
import { type DockerOptions, openDocker } from "../../src/sandbox/runtime/docker/open-docker.ts";
import { readProgress } from "../../src/sandbox/runtime/docker/progress-lines.ts";
import { removeNamespace } from "../lab/netns/sweep.ts";
import { busyboxTar, debianTar } from "./test-images.ts";

/** The engine starts within 2 s; two busy cores take longer. */
const START_MS = 60_000;
const STOP_MS = 15_000;
/** `useradd` of userns-remap writes to /etc: to a layer that goes with the engine. */
const START = `mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc && shift && exec "$@"`;
/**
 * Podman keeps things in /run and /var/lib/cni whatever its options. A shell above it reaps the processes that it lets go of,
 * and crun refuses a machine that has both versions of cgroups.
 */
const START_PODMAN = `mount -t tmpfs tmpfs /run && mkdir -p /var/lib/cni && mount -t tmpfs tmpfs /var/lib/cni && {
  if mountpoint -q /sys/fs/cgroup/unified; then umount -l /sys/fs/cgroup/unified; fi
  "$@" & wait
}`;
const BUSYBOX = ["sh", "cat", "echo", "sleep", "true", "id", "dd", "wget", "ls"];

let labs = 0;

/** Why there can be no engine here; `false` when there can. */
export function whyNoDocker(): string | false {
  if (process.platform !== "linux") return "SKIPPED: a Docker engine of our own needs Linux";
  if (process.geteuid?.() !== 0) return "SKIPPED: starting dockerd needs root";
  const missing = ["dockerd", "nft", "ip", "unshare", "nsenter"].filter((name) => !isInstalled(name));
  return missing.length > 0 && `SKIPPED: not installed: ${missing.join(", ")} (packages docker.io, nftables, iproute2)`;
}

/** The same for Podman's. */
export function whyNoPodman(): string | false {
  if (process.platform !== "linux") return "SKIPPED: a Podman of our own needs Linux";
  if (process.geteuid?.() !== 0) return "SKIPPED: starting Podman with a network needs root";
  const missing = ["podman", "crun", "catatonit", "nft", "ip", "unshare", "nsenter"].filter(
    (name) => !isInstalled(name),
  );
  return (
    missing.length > 0 &&
    `SKIPPED: not installed: ${missing.join(", ")} (packages podman, crun, catatonit, nftables, iproute2)`
  );
}

export interface DockerLabOptions {
  /** @default "docker" */
  readonly engine?: "docker" | "podman";
  /** Docker alone. @default false */
  readonly userns?: boolean;
}

export class DockerLab implements AsyncDisposable {
  readonly folder: string;
  readonly namespace: string;
  readonly helper: Helper;
  engine: Engine;
  readonly #options: DockerLabOptions;
  readonly #runtimes: DockerRuntime[] = [];
  #process: ChildProcess;

  static async open(options: DockerLabOptions = {}): Promise<DockerLab> {
    const signal = AbortSignal.timeout(START_MS);
    const folder = await mkdtemp(join(tmpdir(), `p2prc-${options.engine ?? "docker"}-`));
    await chmod(folder, 0o711); // the remapped root passes through
    const namespace = `p2prc-lab-${process.pid}-${labs++}-${options.engine ?? "docker"}`;
    execFileSync("ip", ["netns", "add", namespace]);
    execFileSync("ip", ["-n", namespace, "link", "set", "lo", "up"]);
    const [helper, child] = await Promise.all([openHelper(folder, {}, signal), start(folder, namespace, options)]);
    const engine = await Engine.open(join(folder, "sock"));
    const lab = new DockerLab({ folder, namespace, helper, engine }, child, options);
    try {
      await lab.#answers(signal);
      await lab.import("p2prc-test:tiny", await busyboxTar(BUSYBOX));
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  private constructor(
    parts: Pick<DockerLab, "folder" | "namespace" | "helper" | "engine">,
    child: ChildProcess,
    options: DockerLabOptions,
  ) {
    this.folder = parts.folder;
    this.namespace = parts.namespace;
    this.helper = parts.helper;
    this.engine = parts.engine;
    this.#process = child;
    this.#options = options;
  }

  async runtime(options: DockerOptions & { readonly keeper?: string } = {}): Promise<DockerRuntime> {
    const environment = { DOCKER_HOST: `unix://${this.engine.socketPath}` };
    const { keeper = "me", ...more } = options;
    const deps = { clock: systemClock, log: silentLog, home: this.folder, helper: this.helper, keeper, environment };
    const given = { defaultImage: { name: "p2prc-test:tiny", dockerfile: "/nowhere" }, ...more };
    const runtime = await openDocker(deps, given, AbortSignal.timeout(START_MS));
    this.#runtimes.push(runtime);
    return runtime;
  }

  /** An image of this name from a tar of its files. */
  async import(name: string, tar: Readable): Promise<void> {
    const signal = AbortSignal.timeout(START_MS);
    const call = { method: "POST", path: "/images/create", query: { fromSrc: "-", repo: name } } as const;
    await readProgress(await this.engine.stream(call, signal, tar), () => {}, signal);
  }

  async importDebian(name: string): Promise<void> {
    await this.import(name, createReadStream(await debianTar()));
  }

  /** Ends the engine as a crash does, with all that runs in it. */
  async kill(): Promise<void> {
    const exited = once(this.#process, "exit");
    this.#process.kill("SIGKILL"); // --kill-child: the whole namespace of processes goes with it
    await exited;
    await removeNamespaceProcesses(this.namespace);
  }

  /** Starts it again on the same folders. */
  async restart(): Promise<void> {
    this.#process = await start(this.folder, this.namespace, this.#options);
    await this.#answers(AbortSignal.timeout(START_MS));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.allSettled(this.#runtimes.map((runtime) => runtime[Symbol.asyncDispose]()));
    const podman = this.#options.engine === "podman";
    const exited = this.#process.exitCode === null && this.#process.signalCode === null && once(this.#process, "exit");
    if (exited !== false) {
      const dockerd = podman ? undefined : await childOf(this.#process.pid ?? 0);
      if (dockerd !== undefined) process.kill(dockerd, "SIGTERM");
      const patience = new AbortController();
      if (podman) this.#process.kill("SIGKILL"); // it has nothing to put in order
      await Promise.race([exited, after(STOP_MS, undefined, patience).catch(() => undefined)]);
      patience.abort();
      this.#process.kill("SIGKILL");
    }
    await removeNamespace(this.namespace);
    if (podman) removeEmptyCgroups();
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }

  async #answers(signal: AbortSignal): Promise<void> {
    for (;;) {
      if (this.#process.exitCode !== null || signal.aborted) {
        throw new Error(
          `the engine does not start: ${(await readFile(join(this.folder, "log"), "utf8")).slice(-2_000)}`,
        );
      }
      const answered = await this.engine.ask({ method: "GET", path: "/_ping" }, signal).then(
        () => true,
        () => false,
      );
      if (answered) return;
      await after(50);
    }
  }
}

async function start(folder: string, namespace: string, options: DockerLabOptions): Promise<ChildProcess> {
  const own = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"];
  const engine = options.engine === "podman" ? podmanWords(folder) : await dockerWords(folder, options);
  const log = await open(join(folder, "log"), "a");
  const words = [`--net=/run/netns/${namespace}`, ...own, "sh", "-c", ...engine];
  const child = spawn("nsenter", words, { stdio: ["ignore", log.fd, log.fd] });
  await once(child, "spawn");
  await log.close();
  return child;
}

function podmanWords(folder: string): readonly string[] {
  return [
    START_PODMAN,
    "podman",
    "podman",
    ...["--root", join(folder, "data"), "--runroot", join(folder, "exec"), "--tmpdir", join(folder, "tmp")],
    ...["--network-config-dir", join(folder, "net"), "--runtime", "crun", "--cgroup-manager", "cgroupfs"],
    ...["--events-backend", "file", "system", "service", "--time=0", `unix://${join(folder, "sock")}`],
  ];
}

async function dockerWords(folder: string, { userns = false }: DockerLabOptions): Promise<readonly string[]> {
  await writeFile(join(folder, "daemon.json"), "{}");
  // overlayfs takes no overlay as its upper layer, so these are in a tmpfs where /tmp is one.
  for (const name of ["etc", "work"]) await rm(join(folder, name), { recursive: true, force: true });
  execFileSync("mkdir", ["-p", join(folder, "etc"), join(folder, "work")]);
  await rm(join(folder, "pid"), { force: true });
  return [
    START,
    "dockerd",
    folder,
    "dockerd",
    ...["--data-root", join(folder, "data"), "--exec-root", join(folder, "exec")],
    ...["--pidfile", join(folder, "pid"), "--config-file", join(folder, "daemon.json")],
    ...["--host", `unix://${join(folder, "sock")}`],
    ...(userns ? ["--userns-remap=default"] : []),
  ];
}

async function childOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8").catch(() => ""); // it has gone
  const [first] = text.trim().split(" ");
  return first === undefined || first === "" ? undefined : Number(first);
}

async function removeNamespaceProcesses(namespace: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const pids = execFileSync("ip", ["netns", "pids", namespace], { encoding: "utf8" }).trim();
    if (pids === "") return;
    await after(50);
  }
}

/** Podman leaves the groups of its containers. The kernel keeps those that somebody is in. */
function removeEmptyCgroups(): void {
  const groups = ["/sys/fs/cgroup", "-depth", "-maxdepth", "4", "-path", "*/libpod_parent*", "-type", "d"];
  spawnSync("find", [...groups, "-exec", "rmdir", "{}", ";"], { stdio: "ignore" });
}

function isInstalled(name: string): boolean {
  const folders = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/sbin"];
  return folders.some((folder) => existsSync(join(folder, name)));
}
