/**
 * A Runtime whose calls end in time, and whose defects are failures: an engine that hangs or breaks must not take the
 * leases with it.
 */

import type { Duplex, Readable } from "node:stream";
import { type Clock, isAbort, within } from "../../base/index.ts";
import { Failure } from "../../core/index.ts";
import type { Inside } from "../inside/inside.ts";
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

/** An image of some gigabytes on a slow line. */
const CREATE_MS = 30 * 60_000;
/** Processes have 10 s to end before they are killed. */
const REMOVE_MS = 60_000;
const QUICK_MS = 15_000;

export class TimedRuntime implements Runtime {
  readonly #runtime: Runtime;
  readonly #clock: Clock;

  constructor(runtime: Runtime, clock: Clock) {
    this.#runtime = runtime;
    this.#clock = clock;
  }

  get facts(): RuntimeFacts {
    return this.#runtime.facts;
  }

  get frozen(): Runtime["frozen"] {
    return this.#runtime.frozen;
  }

  create(spec: SandboxSpec, note: (progress: ImageProgress) => void, signal: AbortSignal): Promise<void> {
    return this.#timed({ what: "make a sandbox", ms: CREATE_MS }, (s) => this.#runtime.create(spec, note, s), signal);
  }

  remove(id: SandboxId, signal: AbortSignal): Promise<void> {
    return this.#timed({ what: "remove a sandbox", ms: REMOVE_MS }, (s) => this.#runtime.remove(id, s), signal);
  }

  pause(id: SandboxId, paused: boolean, signal: AbortSignal): Promise<void> {
    return this.#timed({ what: "freeze a sandbox", ms: QUICK_MS }, (s) => this.#runtime.pause(id, paused, s), signal);
  }

  list(signal: AbortSignal): Promise<readonly FoundSandbox[]> {
    return this.#timed({ what: "list sandboxes", ms: QUICK_MS }, (s) => this.#runtime.list(s), signal);
  }

  stats(id: SandboxId, signal: AbortSignal): Promise<SandboxStats> {
    return this.#timed({ what: "look at a sandbox", ms: QUICK_MS }, (s) => this.#runtime.stats(id, s), signal);
  }

  logs(id: SandboxId, options: LogsOptions, signal: AbortSignal): Promise<Readable> {
    // The signal of a log that is followed is for as long as somebody reads: no limit but the one on its start.
    return this.#runtime.logs(id, options, signal);
  }

  open(id: SandboxId, signal: AbortSignal): Promise<Duplex> {
    return this.#timed({ what: "speak to a sandbox", ms: QUICK_MS }, (s) => this.#runtime.open(id, s), signal);
  }

  entered(id: SandboxId): Inside | undefined {
    return this.#runtime.entered?.(id);
  }

  verify(id: SandboxId, signal: AbortSignal): Promise<readonly string[]> {
    return this.#timed({ what: "check a sandbox", ms: QUICK_MS }, (s) => this.#runtime.verify(id, s), signal);
  }

  async forgetImage(image: PushedImage, signal: AbortSignal): Promise<void> {
    const forget = async (s: AbortSignal) => await this.#runtime.forgetImage?.(image, s);
    await this.#timed({ what: "remove an image", ms: REMOVE_MS }, forget, signal);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve(this.#runtime[Symbol.asyncDispose]());
  }

  async #timed<T>(
    { what, ms }: { readonly what: string; readonly ms: number },
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const late = () => new Failure("timed-out", `the runtime took over ${ms / 1_000} s to ${what}`);
    try {
      return await within({ clock: this.#clock, timeoutMs: ms, late }, work, signal);
    } catch (error) {
      if (error instanceof Failure || isAbort(error, signal)) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw new Failure("runtime-failed", `the runtime could not ${what}: ${why}`, {
        hint: "`p2prc doctor` on that node says more",
        cause: error,
      });
    }
  }
}
