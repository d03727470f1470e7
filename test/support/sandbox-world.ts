/** An owner's node with its leases, on a runtime in memory and on the test's own clock; it can be killed and started again. */

import type { DatabaseSync } from "node:sqlite";
import type { Duplex } from "node:stream";
import { type Facts, type Log, silentLog, systemRandom } from "../../src/base/index.ts";
import { type Caller, defaultGrant, type Grant, type NodeId } from "../../src/core/index.ts";
import type { CreateRequest } from "../../src/sandbox/contract.ts";
import { Leases, type LeasesDeps } from "../../src/sandbox/lease/leases.ts";
import type { Guest, Machine } from "../../src/sandbox/lease/house.ts";
import type { Lease } from "../../src/sandbox/lease/lease.ts";
import { type MemoryMachine, MemoryRuntime } from "../../src/sandbox/runtime/memory.ts";
import type { GpuDevice, Runtime, RuntimeFacts } from "../../src/sandbox/runtime/runtime.ts";
import { type SandboxId, sandboxIdFrom } from "../../src/sandbox/runtime/sandbox-id.ts";
import { openDatabase } from "../../src/store/index.ts";
import { fakeId } from "./fake-link.ts";
import { fakeResident } from "./fake-resident.ts";
import { VirtualClock } from "./virtual-clock.ts";

const GIB = 1024 ** 3;
export const owner = fakeId(1);
export const [ann, bob] = [fakeId(2), fakeId(3)];
export const bigGrant: Grant = {
  ...defaultGrant,
  sandboxes: 100,
  cpus: 100,
  memoryBytes: 1_000 * GIB,
  diskBytes: 10_000 * GIB,
  gpus: 8,
  ports: 100,
};
const SSH_KEY = `ssh-ed25519 ${"A".repeat(68)}`;

export interface WorldOptions {
  readonly facts?: Partial<RuntimeFacts>;
  readonly gpus?: readonly GpuDevice[];
  /** Where images that are pushed lie. @default nowhere */
  readonly imageFolder?: string;
  /** Puts something around the runtime in memory. */
  readonly wrap?: (runtime: Runtime) => Runtime;
}

export class SandboxWorld implements AsyncDisposable {
  readonly clock = new VirtualClock();
  database: DatabaseSync = openDatabase(":memory:");
  readonly machine: MemoryMachine = new Map();
  readonly grants = new Map<NodeId, Grant>([
    [ann, defaultGrant],
    [bob, defaultGrant],
  ]);
  readonly said: { readonly message: string; readonly facts: Facts | undefined }[] = [];
  readonly hungUp: string[] = [];
  readonly signal = new AbortController().signal;
  has: Machine = { cpus: 16, memoryBytes: 64 * GIB, diskFreeBytes: 1_000 * GIB };
  lends = true;
  /** Where it listens. */
  hosts: readonly string[] = ["127.0.0.1"];
  leases: Leases;
  #running: { readonly stop: AbortController; readonly done: Promise<void> } | undefined;
  readonly #options: WorldOptions;
  readonly #ways = new Set<Duplex>();
  readonly #resident = () => {
    const way = fakeResident();
    this.#ways.add(way);
    return way;
  };
  #nextId = 1;

  constructor(options: WorldOptions = {}) {
    this.#options = options;
    this.leases = this.#open(options.wrap);
  }

  get sandboxes() {
    return this.leases.sandboxes;
  }

  get book() {
    return this.leases.sandboxes.book;
  }

  id(): SandboxId {
    const bytes = new Uint8Array(10);
    new DataView(bytes.buffer).setUint32(0, this.#nextId++);
    return sandboxIdFrom(bytes);
  }

  guest(id: NodeId): Guest {
    return { id, grant: this.grants.get(id) ?? { ...defaultGrant, kind: "own" } };
  }

  ask(choices: Partial<CreateRequest> = {}): CreateRequest {
    return { id: this.id(), name: "box", sshKey: SSH_KEY, ...choices };
  }

  create(guest: NodeId, choices: Partial<CreateRequest> = {}): Promise<Lease> {
    const asked = { request: this.ask(choices), note: () => undefined };
    return this.sandboxes.create(this.guest(guest), asked, this.signal);
  }

  /** The work that goes on while a daemon runs. */
  run(): void {
    const stop = new AbortController();
    this.#running = { stop, done: this.leases.run(stop.signal) };
  }

  /** The daemon ends in order. */
  async stop(): Promise<void> {
    this.#running?.stop.abort();
    await this.#running?.done;
    this.#running = undefined;
    await this.leases[Symbol.asyncDispose]();
  }

  /** The next daemon, on the same state and the same machine. The last one may have ended in any way. */
  restart(wrap?: (runtime: Runtime) => Runtime): void {
    this.leases = this.#open(wrap);
    this.run();
  }

  /**
   * What the disk holds now is all that the next daemon finds, whatever the last one goes on to write.
   * @param path of a file that is not there yet
   */
  kill(path: string): void {
    this.database.prepare("VACUUM INTO ?").run(path);
    this.database = openDatabase(path);
    this.#running = undefined;
  }

  /** As when an engine's attach streams end. */
  breakWaysIn(): void {
    for (const way of this.#ways) way.destroy();
    this.#ways.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    this.database.close();
  }

  #open(wrap: (runtime: Runtime) => Runtime = (runtime) => runtime): Leases {
    const { facts = {}, gpus = [], imageFolder = "/nonexistent/images" } = this.#options;
    const say = (message: string, said?: Facts) => void this.said.push({ message, facts: said });
    const log: Log = { ...silentLog, info: say, warn: say, error: say };
    const runtime = wrap(new MemoryRuntime({ resident: this.#resident }, { machine: this.machine, facts }));
    const deps: LeasesDeps = {
      id: owner,
      runtime,
      database: this.database,
      grantOf: (id) => this.grants.get(id),
      nameOf: (id) => (id === ann ? "ann" : "bob"),
      lends: () => this.lends,
      machine: () => this.has,
      gpus: async () => gpus,
      prepareSsh: async () => ({ hostKey: `ssh-ed25519 ${"B".repeat(68)}`, sshProblem: null }),
      imageFolder,
      hosts: () => this.hosts,
      hangUp: () => void this.hungUp.push("guests"),
      stopLending: async () => {
        this.lends = false;
      },
      clock: this.clock,
      random: systemRandom,
      log,
    };
    return new Leases(deps);
  }
}

export function callerOf(id: NodeId): Caller {
  return { kind: "node", id, remote: "192.0.2.1:5000" };
}
