/**
 * Sandboxes that are rows of a map: a Runtime for tests, with no walls at all.
 *
 * What stands behind `open` is given: a resident in this process, a child, or a pretended one. The map may outlive the
 * runtime, as containers outlive a daemon.
 */

import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import { Topic } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type {
  FoundSandbox,
  ImageProgress,
  LogsOptions,
  Runtime,
  RuntimeFacts,
  SandboxSpec,
  SandboxState,
  SandboxStats,
} from "./runtime.ts";
import type { SandboxId } from "./sandbox-id.ts";

export interface MemorySandbox {
  readonly spec: SandboxSpec;
  state: SandboxState;
  reason: string | undefined;
  stats: SandboxStats;
  /** What `verify` finds. */
  broken: readonly string[];
  readonly log: string[];
}

/** The pretended machine: what goes on when the daemon has ended. */
export type MemoryMachine = Map<SandboxId, MemorySandbox>;

export interface MemoryRuntimeDeps {
  /** A byte stream to what answers HTTP/2 inside the sandbox. */
  readonly resident: (spec: SandboxSpec) => Duplex;
}

export interface MemoryRuntimeOptions {
  /** @default a new one */
  readonly machine?: MemoryMachine;
  readonly facts?: Partial<RuntimeFacts>;
}

const FACTS: RuntimeFacts = {
  kind: "memory",
  version: "1",
  walls: {
    userNamespace: true,
    seccomp: true,
    memoryLimit: true,
    pidsLimit: true,
    cpuLimit: true,
    networkFilter: true,
    diskQuota: "engine",
    uidRange: true,
  },
  images: "registry",
  problems: [],
};
const NO_STATS: SandboxStats = {
  cpuMs: 0,
  memoryBytes: 0,
  diskBytes: 0,
  pids: 1,
  receivedBytes: 0,
  sentBytes: 0,
};

export class MemoryRuntime implements Runtime {
  readonly frozen = new Topic<SandboxId>();
  readonly facts: RuntimeFacts;
  readonly machine: MemoryMachine;
  readonly #resident: (spec: SandboxSpec) => Duplex;
  readonly #streams = new Map<SandboxId, Set<Duplex>>();

  constructor({ resident }: MemoryRuntimeDeps, { machine = new Map(), facts = {} }: MemoryRuntimeOptions = {}) {
    this.facts = { ...FACTS, ...facts };
    this.machine = machine;
    this.#resident = resident;
  }

  async create(spec: SandboxSpec, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    await turn(signal);
    if (this.machine.has(spec.id)) return;
    const image = spec.image ?? "default";
    if (image.startsWith("missing")) throw new Failure("not-found", `no image "${image}"`);
    note({ image, layers: { done: 1, all: 1 }, bytes: { done: 1, all: 1 } });
    await turn(signal);
    const log = spec.command === undefined ? [] : [spec.command.join(" ")];
    this.machine.set(spec.id, { spec, state: "running", reason: undefined, stats: NO_STATS, broken: [], log });
  }

  async remove(id: SandboxId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    this.machine.delete(id);
    for (const stream of this.#streams.get(id) ?? []) stream.destroy();
    this.#streams.delete(id);
  }

  async pause(id: SandboxId, paused: boolean, signal: AbortSignal): Promise<void> {
    await turn(signal);
    const sandbox = this.#get(id);
    if (sandbox.state !== "stopped") sandbox.state = paused ? "paused" : "running";
  }

  async list(signal: AbortSignal): Promise<readonly FoundSandbox[]> {
    await turn(signal);
    return Array.from(this.machine, ([id, { spec, state, reason }]) => ({
      id,
      state,
      labels: spec.labels,
      ...(reason === undefined ? {} : { reason }),
    }));
  }

  async stats(id: SandboxId, signal: AbortSignal): Promise<SandboxStats> {
    await turn(signal);
    return this.#get(id).stats;
  }

  async logs(id: SandboxId, { lines }: LogsOptions, signal: AbortSignal): Promise<Readable> {
    await turn(signal);
    const { log } = this.#get(id);
    return Readable.from(log.slice(Math.max(0, log.length - lines)).map((line) => Buffer.from(`${line}\n`)));
  }

  async open(id: SandboxId, signal: AbortSignal): Promise<Duplex> {
    await turn(signal);
    const sandbox = this.#get(id);
    if (sandbox.state === "stopped") throw new Failure("runtime-failed", "the sandbox has stopped");
    const stream = this.#resident(sandbox.spec);
    const streams = this.#streams.get(id) ?? new Set();
    this.#streams.set(id, streams.add(stream));
    stream.once("close", () => streams.delete(stream));
    return stream;
  }

  async verify(id: SandboxId, signal: AbortSignal): Promise<readonly string[]> {
    await turn(signal);
    return this.#get(id).broken;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const streams of this.#streams.values()) for (const stream of streams) stream.destroy();
    this.#streams.clear();
  }

  #get(id: SandboxId): MemorySandbox {
    const sandbox = this.machine.get(id);
    if (sandbox === undefined) throw new Failure("not-found", `no sandbox "${id}"`);
    return sandbox;
  }
}

/** Nothing here takes time, but everything is asynchronous, as it is elsewhere. */
async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await Promise.resolve();
  signal.throwIfAborted();
}
