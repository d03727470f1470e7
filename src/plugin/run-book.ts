/** What is kept of each run: `plugin-runs/<id>/run.json` and its log. The newest ones, to go on with and to look into. */

import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
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
  /** The task to go on with. Absent: from the beginning. */
  readonly startAt?: string | undefined;
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

  /** A folder for a new one; the oldest make room. */
  async open(now: number, random: Uint8Array): Promise<{ readonly id: string; readonly folder: string }> {
    const at = new Date(now).toISOString().replaceAll(/[-:]|\.\d+Z$/gu, "");
    const id = `${at}-${Buffer.from(random).toString("hex").slice(0, 8)}`;
    const folder = this.folderOf(id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    for (const old of (await this.#ids()).slice(this.#maxRuns))
      await rm(this.folderOf(old), { recursive: true, force: true });
    return { id, folder };
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

  /** Newest first. */
  async #ids(): Promise<readonly string[]> {
    const names = await readdir(this.#root).catch(() => [] as string[]);
    return names.filter((name) => ID.test(name)).toSorted((a, b) => (a < b ? 1 : -1));
  }

  async #read(id: string): Promise<Run | undefined> {
    try {
      return JSON.parse(await readFile(join(this.folderOf(id), "run.json"), "utf8")) as Run;
    } catch {
      return undefined; // it was broken off before it began
    }
  }
}
