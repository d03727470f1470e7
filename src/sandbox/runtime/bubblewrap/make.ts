/**
 * Makes one sandbox, step by step. Before each step that leaves something behind, what is needed to clear it away is on
 * disk; the last one says that it is whole.
 */

import { writeFile } from "node:fs/promises";
import type { Clock, Log } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import type { SandboxSpec } from "../runtime.ts";
import { type HostSystem, isReadOnly, type ViewOptions, viewArguments } from "./arguments.ts";
import type { Cgroups } from "./cgroup.ts";
import { gpuSources, type GpuView, viewGpus } from "./gpu-devices.ts";
import type { Image, ImageStore } from "./images/image-store.ts";
import { launch, type Launched } from "./launch.ts";
import { fillLayer } from "./layer.ts";
import { loadFilter } from "./network.ts";
import { nameserverOf, startUplink, type Uplink } from "./uplink.ts";
import { mountFor, seenFrom } from "./mounts.ts";
import { identifyProcess, type ProcessId } from "./process-id.ts";
import type { SandboxFolder, SandboxRecord } from "./sandbox-folder.ts";
import type { Tools } from "./tools.ts";
import type { UserBook } from "./user-book.ts";
import type { Users } from "./uid-ranges.ts";

export interface MakeDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly tools: Tools;
  readonly cgroups: Cgroups;
  readonly host: HostSystem;
  /** The folder that all sandboxes lie in. */
  readonly root: string;
  /** The folder that each sees as `/.p2prc`, with the resident. */
  readonly helper: string;
  readonly residentCommand: (...args: readonly string[]) => readonly string[];
  /** The file with the filter of system calls. */
  readonly seccomp: string;
  readonly disableUserns: boolean;
  /** Whose daemon this is. */
  readonly user: { readonly uid: number };
  readonly users: UserBook;
  readonly images: ImageStore;
}

export interface Made {
  readonly record: SandboxRecord;
  /** Rejects when its first process has ended, with what it said. */
  readonly ended: Promise<never>;
}

interface Begun {
  readonly record: SandboxRecord;
  readonly image: Image | undefined;
}

interface Network {
  readonly found: { readonly filter: string; readonly uplink: ProcessId };
  readonly uplink: Uplink;
}

const NO_GPUS: GpuView = { devices: [], libraries: [] };

/** Docker's number, in the middle of the kernel's scale: a guest is ended before what the owner runs. */
const OOM_SCORE = 500;

export class Maker {
  readonly #deps: MakeDeps;

  constructor(deps: MakeDeps) {
    this.#deps = deps;
  }

  async #image({ image, pushed }: SandboxSpec, signal: AbortSignal): Promise<Image | undefined> {
    const { images } = this.#deps;
    if (pushed !== undefined) return await images.openPushed(pushed, signal);
    return image === undefined ? undefined : await images.open(image, signal);
  }

  /** Leaves what it has made when it fails: for `endSandbox`. @throws {Failure} runtime-failed, busy, disk-full */
  async make(folder: SandboxFolder, spec: SandboxSpec, signal: AbortSignal): Promise<Made> {
    const { cgroups } = this.#deps;
    const image = await this.#image(spec, signal);
    const users = image !== undefined && !isReadOnly(spec) ? image.users : await this.#deps.users.choose(spec.profile);
    await using pending = new AsyncDisposableStack();
    try {
      await folder.make();
      let record: SandboxRecord = { spec, users, cgroup: cgroups.plan(spec.id), ready: false };
      await folder.write(record);
      // It takes as long as all that leads up to the waiting shell. Whoever clears away after a failure finds it whole.
      const group = cgroups.make(record.cgroup, spec);
      const settled = group.catch(() => {}); // whoever joins it hears of it
      pending.defer(() => settled);
      const nameserver = spec.network === "internet" ? nameserverOf(this.#deps.tools) : undefined;
      await fillLayer(folder, { spec, users, nameserver });
      const launched = await this.#launch(folder, { record, image }, signal);
      try {
        record = { ...record, monitor: await known(launched.pid) };
        await folder.write(record);
        const [network] = await Promise.all([
          this.#network(record, signal),
          this.#fence(folder, { record, image, group }, signal),
        ]);
        record = { ...record, ...network?.found };
        // What it carries is the guest's doing: it counts, and stops, with the rest.
        if (record.uplink !== undefined) await cgroups.join(record.cgroup, record.uplink.pid);
        await folder.write(record);
        record = { ...record, first: await known(await launched.go(signal)) };
        await Promise.all([folder.write(record), network?.uplink.ready(signal)]);
      } finally {
        launched.release();
      }
      return { record, ended: launched.ended };
    } finally {
      this.#deps.users.noted(users);
    }
  }

  async #launch(
    folder: SandboxFolder,
    { record: { spec, users }, image }: Begun,
    signal: AbortSignal,
  ): Promise<Launched> {
    const { tools, cgroups, host, seccomp } = this.#deps;
    const gpus = spec.gpus.length === 0 ? NO_GPUS : viewGpus(spec.gpus, await gpuSources(signal));
    const view = viewArguments({ ...this.#view(folder, spec, users), ...gpus }, host);
    const env = (image?.env ?? []).flatMap((variable) => ["--env", variable]);
    const argv = (socket: number) => this.#deps.residentCommand("--listening", String(socket), ...env);
    const pids = cgroups.holds.has("pids") ? undefined : spec.pids;
    return await launch(
      { folder, users, networked: spec.network === "internet", pids, view, argv, seccomp },
      tools,
      signal,
    );
  }

  #view(folder: SandboxFolder, { name, profile, image, memoryBytes, network }: SandboxSpec, users: Users): ViewOptions {
    const seen = seenFrom({ folder, ...this.#deps });
    return {
      ...{ name, profile, memoryBytes, root: users.many, disableUserns: this.#deps.disableUserns },
      ...{ layer: seen.layer, helper: seen.helper, image: image === undefined ? undefined : seen.image },
      networked: network === "internet",
      ...NO_GPUS,
    };
  }

  /** The filter is there before anything of it runs; the way out need not be. */
  async #network({ spec, users, monitor }: SandboxRecord, signal: AbortSignal): Promise<Network | undefined> {
    if (spec.network === "none" || monitor === undefined) return undefined;
    const filter = await loadFilter({ pid: monitor.pid, users }, this.#deps, signal);
    const uplink = await startUplink(monitor.pid, users, this.#deps);
    return { found: { filter, uplink: uplink.id }, uplink };
  }

  /** Everything that holds it in, while it waits. */
  async #fence(
    folder: SandboxFolder,
    { record: { spec, cgroup, monitor }, image, group }: Begun & { readonly group: Promise<void> },
    signal: AbortSignal,
  ): Promise<void> {
    const { cgroups } = this.#deps;
    const pid = monitor?.pid ?? 0;
    await Promise.all([
      group.then(() => cgroups.join(cgroup, pid)),
      writeFile(`/proc/${pid}/oom_score_adj`, String(OOM_SCORE)),
      mountFor(pid, { folder, image, readOnly: isReadOnly(spec), ...this.#deps }, signal),
    ]);
  }
}

async function known(pid: number): Promise<ProcessId> {
  const id = await identifyProcess(pid);
  if (id === undefined) throw new Failure("runtime-failed", "the sandbox ended as soon as it began");
  return id;
}
