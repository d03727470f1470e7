/**
 * What this machine has to offer, read when the daemon starts and a few times a day after that.
 *
 * Whoever asks gets what was read last, at once: no tool runs on the path of a request. Until the first
 * reading is done there is what takes no time: cores and memory.
 */

import { statfs } from "node:fs/promises";
import { arch, availableParallelism, cpus, freemem, platform, totalmem } from "node:os";
import { type Clock, type Log, Topic, within } from "../base/index.ts";
import { cleanText, Failure, type Resources } from "../core/index.ts";
import { findAmd } from "./amd.ts";
import type { Gpu, Specs } from "./contract.ts";
import { findNvidia, type FoundGpu } from "./nvidia.ts";
import type { RunTool } from "./tool.ts";

export interface SpecSheetDeps {
  readonly clock: Clock;
  readonly log: Log;
  readonly run: RunTool;
  /** The GPUs that only the platform itself knows, on machines that are guests: none on Linux. */
  readonly findOther: (signal: AbortSignal) => Promise<readonly FoundGpu[]>;
  /** The file system that counts is the one it is on. */
  readonly home: string;
  /** Where the kernel lists graphics cards; undefined where there is no such place. */
  readonly sysfs: string | undefined;
}

/** A GPU is seldom added to a running machine; its driver is updated now and then. */
const REREAD_MS = 6 * 3_600_000;
const OTHER_TIMEOUT_MS = 20_000;
/** As many as a record has room for. */
const RECORD_GPUS = 8;
const RECORD_MODEL = 48;
/** Of the 1,024 that a record has for everything: eight GPUs with common names. */
const RECORD_GPU_BYTES = 480;

export class SpecSheet {
  /** When what others are told has changed. */
  readonly changes = new Topic<Resources>();
  readonly #deps: SpecSheetDeps;
  #specs: Specs = { ...quickSpecs(), disk: { totalBytes: 0, freeBytes: 0 }, gpus: [], problems: [] };

  constructor(deps: SpecSheetDeps) {
    this.#deps = deps;
  }

  latest(): Specs {
    return this.#specs;
  }

  /** What the node's record says of it. */
  toResources(): Resources {
    const { cpu, memory, disk, gpus } = this.#specs;
    return {
      cpus: cpu.cores,
      memoryBytes: memory.totalBytes,
      diskBytes: disk.totalBytes,
      gpus: fitting(
        gpus.slice(0, RECORD_GPUS).map(({ model, memoryBytes }) => ({ model: shortModel(model), memoryBytes })),
      ),
    };
  }

  /** Reads, and reads again now and then, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.read(signal);
      await this.#deps.clock.sleep(REREAD_MS, signal);
    }
  }

  async read(signal: AbortSignal): Promise<void> {
    const { run, sysfs, log } = this.#deps;
    const before = JSON.stringify(this.toResources());
    const [disk, nvidia, amd, other] = await Promise.all([
      this.#disk(),
      findNvidia(run, signal),
      findAmd(run, { sysfs }, signal),
      this.#other(signal),
    ]);
    const quick = quickSpecs();
    const found = [...nvidia.gpus, ...amd.gpus];
    const gpus = found.length > 0 ? found : other;
    const problems = [...nvidia.problems, ...amd.problems].map((problem) => cleanText(problem, 300));
    this.#specs = {
      ...quick,
      disk,
      gpus: gpus.slice(0, 64).map((gpu) => finished(gpu, quick.memory.totalBytes)),
      problems,
    };
    for (const problem of problems) log.warn("a GPU cannot be read", { problem });
    const after = this.toResources();
    if (JSON.stringify(after) !== before) this.changes.publish(after);
  }

  async #disk(): Promise<Specs["disk"]> {
    const { home, log } = this.#deps;
    try {
      const { blocks, bavail, bsize } = await statfs(home);
      return { totalBytes: blocks * bsize, freeBytes: bavail * bsize };
    } catch (error) {
      log.warn("the disk of the home cannot be read", { home, error });
      return { totalBytes: 0, freeBytes: 0 };
    }
  }

  async #other(signal: AbortSignal): Promise<readonly FoundGpu[]> {
    const { clock, findOther, log } = this.#deps;
    const late = () => new Failure("timed-out", "the system did not name its GPUs in time");
    try {
      return await within({ clock, timeoutMs: OTHER_TIMEOUT_MS, late }, findOther, signal);
    } catch (error) {
      if (signal.aborted) throw error;
      log.warn("the system's GPUs cannot be read", { error });
      return [];
    }
  }
}

/** What the runtime knows without asking anybody, on every platform. */
function quickSpecs(): Omit<Specs, "disk" | "gpus" | "problems"> {
  const model = cleanText(cpus()[0]?.model ?? "", 96).replaceAll(/\s+/g, " ");
  return {
    cpu: { model: model === "" ? "unknown" : model, cores: availableParallelism() },
    memory: { totalBytes: totalmem(), freeBytes: freemem() },
    platform: platform(),
    architecture: arch(),
  };
}

/** @param sharedBytes what a GPU without memory of its own may use */
function finished({ vendor, model, memoryBytes }: FoundGpu, sharedBytes: number): Gpu {
  return { vendor, model: cleanText(model, 96), memoryBytes: memoryBytes ?? sharedBytes };
}

/** A record has little room: `NVIDIA GeForce RTX 4090` is `RTX 4090`. */
function shortModel(model: string): string {
  const short = model.replace(/^(NVIDIA|AMD)\s+/i, "").replace(/^(GeForce|Radeon)\s+(?=\S)/i, "");
  return cleanText(short === "" ? model : short, RECORD_MODEL);
}

/** As many of them as a record has room for. */
function fitting(gpus: Resources["gpus"]): Resources["gpus"] {
  let count = gpus.length;
  while (Buffer.byteLength(JSON.stringify(gpus.slice(0, count))) > RECORD_GPU_BYTES) count--;
  return gpus.slice(0, count);
}
