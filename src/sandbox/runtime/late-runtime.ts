/**
 * The runtime of this node, looked for when it is first needed: most nodes never make a sandbox, and looking makes the
 * helper and asks an engine.
 *
 * Until then, and where there is none, it says that it can make nothing. Where there was none, it looks again after a while.
 */

import type { Duplex, Readable } from "node:stream";
import { type Clock, type Log, Scope, Topic } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { Inside } from "../inside/inside.ts";
import { type Picked, pickRuntime, type RuntimeCandidate } from "./pick-runtime.ts";
import type {
  FoundSandbox,
  ImageProgress,
  LogsOptions,
  PushedImage,
  Runtime,
  RuntimeFacts,
  SandboxSpec,
  SandboxStats,
} from "./runtime.ts";
import type { SandboxId } from "./sandbox-id.ts";

export interface LateRuntimeDeps {
  /** The quicker ones first. */
  readonly candidates: readonly RuntimeCandidate[];
  readonly clock: Clock;
  readonly log: Log;
}

/** An engine may have been started meanwhile. */
const LOOK_AGAIN_MS = 30_000;

const NOTHING: RuntimeFacts = {
  kind: "bubblewrap",
  version: "",
  walls: {
    userNamespace: false,
    seccomp: false,
    memoryLimit: false,
    pidsLimit: false,
    cpuLimit: false,
    networkFilter: false,
    diskQuota: "none",
    uidRange: false,
  },
  profiles: [],
  images: "archives",
  problems: [],
};

export class LateRuntime implements Runtime {
  readonly frozen = new Topic<SandboxId>();
  readonly #deps: LateRuntimeDeps;
  readonly #scope = new Scope();
  #picking: Promise<Picked> | undefined;
  #picked: Picked | undefined;

  constructor(deps: LateRuntimeDeps) {
    this.#deps = deps;
  }

  /** Whether one was found. */
  get found(): boolean {
    return this.#picked?.runtime !== undefined;
  }

  /** Why others were passed over; where none was found, why. */
  get passedOver(): readonly string[] {
    return this.#picked?.passedOver ?? [];
  }

  get facts(): RuntimeFacts {
    return this.#picked?.runtime?.facts ?? { ...NOTHING, problems: this.passedOver };
  }

  /** Resolves when it is known what this node can make, also where that is nothing. */
  async ready(): Promise<void> {
    this.#picking ??= this.#pick();
    await this.#picking;
  }

  async create(spec: SandboxSpec, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    await (await this.#inner()).create(spec, note, signal);
  }

  async remove(id: SandboxId, signal: AbortSignal): Promise<void> {
    await (await this.#inner()).remove(id, signal);
  }

  async pause(id: SandboxId, paused: boolean, signal: AbortSignal): Promise<void> {
    await (await this.#inner()).pause(id, paused, signal);
  }

  async list(signal: AbortSignal): Promise<readonly FoundSandbox[]> {
    return await (await this.#inner()).list(signal);
  }

  async stats(id: SandboxId, signal: AbortSignal): Promise<SandboxStats> {
    return await (await this.#inner()).stats(id, signal);
  }

  async logs(id: SandboxId, options: LogsOptions, signal: AbortSignal): Promise<Readable> {
    return await (await this.#inner()).logs(id, options, signal);
  }

  async open(id: SandboxId, signal: AbortSignal): Promise<Duplex> {
    return await (await this.#inner()).open(id, signal);
  }

  entered(id: SandboxId): Inside | undefined {
    return this.#picked?.runtime?.entered?.(id);
  }

  async verify(id: SandboxId, signal: AbortSignal): Promise<readonly string[]> {
    return await (await this.#inner()).verify(id, signal);
  }

  async forgetImage(image: PushedImage, signal: AbortSignal): Promise<void> {
    await (await this.#inner()).forgetImage?.(image, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#scope.close();
    await this.#picking?.catch(() => undefined); // it was aborted
    await this.#picked?.runtime?.[Symbol.asyncDispose]();
  }

  /** @throws {Failure} not-supported */
  async #inner(): Promise<Runtime> {
    await this.ready();
    const { runtime, passedOver } = this.#picked ?? {};
    if (runtime === undefined) throw noRuntime(passedOver ?? []);
    return runtime;
  }

  async #pick(): Promise<Picked> {
    const { candidates, clock, log } = this.#deps;
    const picked = await pickRuntime(candidates, log, this.#scope.signal);
    this.#picked = picked;
    picked.runtime?.frozen?.on((id) => this.frozen.publish(id));
    const { facts } = picked.runtime ?? {};
    if (facts !== undefined) log.info("sandboxes are made by", { runtime: facts.kind, version: facts.version });
    else {
      log.warn("this machine can make no sandboxes", { why: picked.passedOver });
      this.#scope.spawn(async (signal) => {
        await clock.sleep(LOOK_AGAIN_MS, signal);
        this.#picking = undefined;
      });
    }
    return picked;
  }
}

export function noRuntime(why: readonly string[]): Failure {
  return new Failure("not-supported", `this node can make no sandboxes (${why.join("; ")})`, {
    hint: "its owner's `p2prc doctor` says what to install",
  });
}
