/**
 * What is kept of each run: `plugin-runs/<id>/run.json` and its log. The newest ones, to go on with and to look into. While it
 * runs, `running.json` says which process that is and where its folder is, so that the next one can clean up after it.
 */

import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "../base/index.ts";
import { writeFileAtomic } from "../store/index.ts";
import type { Values } from "./parameters.ts";

export interface Run {
  readonly id: string;
  readonly plugin: string;
  readonly digest: string;
  readonly values: Values;
  /** Ids of sandboxes. */
  readonly targets: readonly string[];
  /** Of those, the ones that have not come to the end. */
  readonly unfinished: readonly string[];
  /** The task that each of those is to go on with. Absent: from the beginning. */
  readonly startAt: Readonly<Record<string, string>>;
  /** The tasks that can be begun at, in their order, as far as any of its sandboxes has come. */
  readonly order: readonly string[];
}

interface Place {
  readonly pid: number;
  readonly work: string;
}

const ID = /^\d{8}T\d{6}-[0-9a-f]{8}$/u;
const MAX_RUNS = 50;

export class RunBook {
  readonly #root: string;
  readonly #maxRuns: number;

  /** @param options.maxRuns @default 50 */
  constructor(home: string, { maxRuns = MAX_RUNS }: { readonly maxRuns?: number } = {}) {
    this.#root = join(home, "plugin-runs");
    this.#maxRuns = maxRuns;
  }

  /** A folder for a new one. The oldest make room, and what a process left that was killed goes. */
  async open(now: number, random: Uint8Array): Promise<{ readonly id: string; readonly folder: string }> {
    const at = new Date(now).toISOString().replaceAll(/[-:]|\.\d+Z$/gu, "");
    const id = `${at}-${Buffer.from(random).toString("hex").slice(0, 8)}`;
    const folder = this.folderOf(id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const [index, old] of (await this.#ids()).entries()) {
      const place = await this.#place(old);
      if (place !== undefined && isRunning(place.pid)) continue;
      if (place !== undefined) await this.leave(old);
      if (index >= this.#maxRuns) await rm(this.folderOf(old), { recursive: true, force: true });
    }
    return { id, folder };
  }

  /** This process works on it, with a folder that goes with it. */
  async enter(id: string, work: string): Promise<void> {
    await writeFileAtomic(this.#running(id), `${JSON.stringify({ pid: process.pid, work } satisfies Place)}\n`);
  }

  /** Nobody works on it any more. */
  async leave(id: string): Promise<void> {
    const place = await this.#place(id);
    if (place !== undefined) await rm(place.work, { recursive: true, force: true });
    await rm(this.#running(id), { force: true });
  }

  /** Those of them that nobody works on. Asked of ids that were entered before. */
  async over(ids: readonly string[]): Promise<readonly string[]> {
    const running = await Promise.all(
      ids.map(async (id) => {
        const place = await this.#place(id);
        return place !== undefined && isRunning(place.pid);
      }),
    );
    return ids.filter((_, index) => running[index] !== true);
  }

  folderOf(id: string): string {
    return join(this.#root, id);
  }

  async write(run: Run): Promise<void> {
    await writeFileAtomic(join(this.folderOf(run.id), "run.json"), `${JSON.stringify(run)}\n`);
  }

  /** The last of a plugin in which all of these sandboxes took part. */
  async last(plugin: string, targets: readonly string[]): Promise<Run | undefined> {
    for (const id of await this.#ids()) {
      const run = await this.#read(id);
      if (run?.plugin === plugin && targets.every((target) => run.targets.includes(target))) return run;
    }
    return undefined;
  }

  #running(id: string): string {
    return join(this.folderOf(id), "running.json");
  }

  async #place(id: string): Promise<Place | undefined> {
    try {
      return JSON.parse(await readFile(this.#running(id), "utf8")) as Place;
    } catch {
      return undefined; // it has come to its end
    }
  }

  /** Newest first. */
  async #ids(): Promise<readonly string[]> {
    const names = await readdir(this.#root).catch(() => [] as string[]);
    return names.filter((name) => ID.test(name)).toSorted((a, b) => (a < b ? 1 : -1));
  }

  async #read(id: string): Promise<Run | undefined> {
    try {
      const run = JSON.parse(await readFile(join(this.folderOf(id), "run.json"), "utf8")) as Run;
      return { ...run, order: run.order ?? [] }; // runs were kept without it
    } catch {
      return undefined; // it was broken off before it began
    }
  }
}
