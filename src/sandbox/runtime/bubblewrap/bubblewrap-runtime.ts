/**
 * Sandboxes made by bubblewrap: no engine and no image needed, and nobody inside is root of the host.
 *
 * They outlive the daemon: all that is known of one lies in its folder, and a later daemon finds it there (`sandbox-folder`).
 */

import { once } from "node:events";
import { connect } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { isAbort, Scope, Topic } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import { diskFailure } from "../../../store/index.ts";
import { Inside } from "../../inside/inside.ts";
import type {
  FoundSandbox,
  ImageProgress,
  LogsOptions,
  PushedImage,
  Runtime,
  RuntimeFacts,
  SandboxSpec,
  SandboxStats,
} from "../runtime.ts";
import { Entered } from "../entered.ts";
import type { SandboxId } from "../sandbox-id.ts";
import { Canaries } from "./canaries.ts";
import { readLog } from "./command-log.ts";
import { DiskUses } from "./disk-use.ts";
import { endSandbox } from "./end.ts";
import { freeze, isFrozen } from "./freeze.ts";
import { type MakeDeps, Maker } from "./make.ts";
import { canaryHosts, inhabited, showFilter } from "./network.ts";
import { isAlive } from "./process-id.ts";
import { SandboxFolder, type SandboxRecord, sandboxFolders } from "./sandbox-folder.ts";
import { statsOf } from "./stats.ts";
import { Watch } from "./watch.ts";
import { lookAtProbe } from "./verify.ts";

export class BubblewrapRuntime implements Runtime {
  readonly facts: RuntimeFacts;
  readonly frozen = new Topic<SandboxId>();
  readonly #deps: MakeDeps;
  readonly #maker: Maker;
  readonly #making = new Map<SandboxId, Promise<void>>();
  readonly #streams = new Set<Duplex>();
  readonly #entered = new Entered();
  readonly #disk: DiskUses;
  readonly #scope = new Scope();

  constructor(deps: MakeDeps, facts: RuntimeFacts) {
    this.#deps = deps;
    this.#maker = new Maker(deps);
    this.#disk = new DiskUses(deps);
    const watch = new Watch({ ...deps, disk: this.#disk, frozen: (id) => this.frozen.publish(id) });
    this.#scope.spawn((signal) => watch.run(signal));
    this.facts = facts;
  }

  async create(spec: SandboxSpec, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const other = this.#making.get(spec.id);
    if (other !== undefined) return await other;
    const making = this.#create(spec, note, signal).finally(() => this.#making.delete(spec.id));
    this.#making.set(spec.id, making);
    await making;
  }

  async remove(id: SandboxId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await endSandbox(this.#folder(id), this.#deps, signal);
  }

  async pause(id: SandboxId, paused: boolean, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const record = await this.#read(id);
    await freeze(record, paused, { deps: this.#deps, signal });
    if (paused || record.frozenFor === undefined) return;
    const { frozenFor: _, ...rest } = record;
    await this.#folder(id).write(rest);
  }

  async list(signal: AbortSignal): Promise<readonly FoundSandbox[]> {
    signal.throwIfAborted();
    const folders = await sandboxFolders(this.#deps.root);
    const found = await Promise.all(
      folders.filter(({ id }) => !this.#making.has(id)).map((folder) => this.#look(folder)),
    );
    return found.flat();
  }

  async stats(id: SandboxId, signal: AbortSignal): Promise<SandboxStats> {
    signal.throwIfAborted();
    const record = await this.#read(id);
    const { bytes } = await this.#disk.of(this.#folder(id), record, signal);
    return await statsOf(record, this.#deps.cgroups, bytes);
  }

  async logs(id: SandboxId, options: LogsOptions, signal: AbortSignal): Promise<Readable> {
    signal.throwIfAborted();
    await this.#read(id);
    const folder = this.#folder(id);
    const lives = async () => isRunning(await folder.read());
    return readLog(folder, options, { deps: { clock: this.#deps.clock, lives }, signal });
  }

  async open(id: SandboxId, signal: AbortSignal): Promise<Duplex> {
    signal.throwIfAborted();
    if (!(await isRunning(await this.#read(id)))) throw new Failure("runtime-failed", "the sandbox has stopped");
    return await this.#connect(this.#folder(id), signal);
  }

  entered(id: SandboxId): Inside | undefined {
    return this.#entered.take(id);
  }

  async forgetImage(image: PushedImage, signal: AbortSignal): Promise<void> {
    await this.#deps.images.forget(image, signal);
  }

  async verify(id: SandboxId, signal: AbortSignal): Promise<readonly string[]> {
    signal.throwIfAborted();
    const record = await this.#read(id);
    await using inside = await this.#enter(this.#folder(id), signal);
    return await this.#verify(inside, record, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stream of this.#streams) stream.destroy();
    await Promise.allSettled(this.#making.values());
    await this.#scope.close();
  }

  async #create(spec: SandboxSpec, _note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    const folder = this.#folder(spec.id);
    const before = await folder.read();
    if (before?.ready === true) return;
    if (before !== undefined) await endSandbox(folder, this.#deps, signal);
    if (spec.network === "internet" && !this.facts.walls.networkFilter) throw noFilter();
    try {
      const { record, ended } = await this.#maker.make(folder, spec, signal);
      await using entering = new AsyncDisposableStack();
      const inside = entering.use(await Promise.race([this.#enter(folder, signal), ended]));
      const broken = await Promise.race([this.#verify(inside, record, signal), ended]);
      if (broken.length > 0) throw new Failure("runtime-failed", `the walls do not hold: ${broken.join("; ")}`);
      if (spec.command !== undefined) await inside.startCommand(spec.command, signal);
      await folder.write({ ...record, ready: true });
      entering.move();
      this.#entered.keep(spec.id, inside);
    } catch (error) {
      await endSandbox(folder, this.#deps, new AbortController().signal); // ends by its own time limit
      throw isAbort(error, signal) ? signal.reason : (diskFailure(error, folder.path) ?? error);
    }
  }

  async #verify(inside: Inside, record: SandboxRecord, signal: AbortSignal): Promise<readonly string[]> {
    if (record.spec.network === "none") return lookAtProbe(record, await inside.probe([], signal));
    await using canaries = await Canaries.open(canaryHosts());
    const [probe, rules] = await Promise.all([inside.probe(canaries.addresses, signal), this.#rules(record, signal)]);
    const touched = canaries.touched.map((address) => `something inside reached ${address}, which is closed to it`);
    return [...lookAtProbe(record, probe), ...rules, ...touched];
  }

  /** Whether the filter is as it was when it was new. */
  async #rules(record: SandboxRecord, signal: AbortSignal): Promise<readonly string[]> {
    const where = inhabited(record);
    if (where === undefined || record.filter === undefined) return ["it has a network, and no filter was ever noted"];
    try {
      const now = await showFilter(where, this.#deps, signal);
      return now === record.filter ? [] : ["its network filter was changed"];
    } catch (error) {
      if (error instanceof Failure) return [`its network filter cannot be seen: ${error.message}`];
      throw error;
    }
  }

  async #enter(folder: SandboxFolder, signal: AbortSignal): Promise<Inside> {
    return await Inside.open(await this.#connect(folder, signal), this.#deps, signal);
  }

  async #connect(folder: SandboxFolder, signal: AbortSignal): Promise<Duplex> {
    const place = await folder.openSocket();
    await using _handle = place.handle;
    const stream = connect(place.socket);
    try {
      await once(stream, "connect", { signal });
    } catch (cause) {
      stream.destroy();
      signal.throwIfAborted();
      throw new Failure("runtime-failed", "the sandbox cannot be reached", { cause });
    }
    this.#streams.add(stream);
    stream.once("close", () => this.#streams.delete(stream));
    return stream;
  }

  async #look(folder: SandboxFolder): Promise<readonly FoundSandbox[]> {
    const record = await folder.read();
    const { id } = folder;
    if (record === undefined) return [{ id, state: "stopped", labels: {}, reason: "it was never finished" }];
    const { labels } = record.spec;
    if (!record.ready) return [{ id, state: "stopped", labels, reason: "it was never finished" }];
    if (!(await isRunning(record))) return [{ id, state: "stopped", labels, reason: await this.#whyStopped(record) }];
    if (!(await isFrozen(record, this.#deps.cgroups))) return [{ id, state: "running", labels }];
    const reason = record.frozenFor === undefined ? {} : { reason: record.frozenFor };
    return [{ id, state: "paused", labels, ...reason }];
  }

  async #whyStopped({ cgroup }: SandboxRecord): Promise<string> {
    const usage = await this.#deps.cgroups.usage(cgroup);
    return usage !== undefined && usage.oomKills > 0 ? "out of memory" : "its first process ended";
  }

  #folder(id: SandboxId): SandboxFolder {
    return new SandboxFolder(this.#deps.root, id);
  }

  async #read(id: SandboxId): Promise<SandboxRecord> {
    const record = await this.#folder(id).read();
    if (record === undefined) throw new Failure("not-found", `no sandbox "${id}"`);
    return record;
  }
}

function noFilter(): Failure {
  return new Failure("not-supported", "this machine cannot filter the network of a sandbox, so there is none", {
    hint: "ask for `--network none`; on the owner's machine `p2prc doctor` says what to install",
  });
}

async function isRunning(record: SandboxRecord | undefined): Promise<boolean> {
  return record?.first !== undefined && (await isAlive(record.first));
}
