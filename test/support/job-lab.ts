/** Jobs in a throw-away folder, over sandboxes in memory, in virtual time. */

import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createJob, type Job, openJob } from "../../src/job/job-folder.ts";
import { leftOver } from "../../src/job/left-over.ts";
import type { JobSpec } from "../../src/job/plan.ts";
import { runJob } from "../../src/job/run-job.ts";
import type { Tally, TaskFailure } from "../../src/job/tally.ts";
import type { FakeBox } from "./fake-worker.ts";
import { VirtualClock } from "./virtual-clock.ts";

export class JobLab implements AsyncDisposable {
  readonly folder: string;
  readonly clock = new VirtualClock();
  readonly boxes = new Map<string, FakeBox>();
  readonly failures: TaskFailure[] = [];
  readonly news: string[] = [];
  readonly drain = new AbortController();
  readonly stop = new AbortController();
  latest: Tally | undefined;

  static async open(): Promise<JobLab> {
    return new JobLab(await mkdtemp(join(tmpdir(), "p2prc-job-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  get home(): string {
    return join(this.folder, "home");
  }

  async write(path: string, content: string): Promise<void> {
    await mkdir(dirname(join(this.folder, path)), { recursive: true });
    await writeFile(join(this.folder, path), content);
  }

  async read(path: string): Promise<string> {
    return await readFile(join(this.folder, path), "utf8");
  }

  async names(folder: string): Promise<readonly string[]> {
    return (await readdir(join(this.folder, folder))).sort();
  }

  async job(inputs: readonly string[], spec: Partial<JobSpec> = {}): Promise<Job> {
    await mkdir(this.home, { recursive: true });
    const defaults = { argv: ["do", "{in}"], outs: [], files: false, cwd: this.folder, retries: 2, maxBytes: 2 ** 20 };
    const asked = { spec: { ...defaults, ...spec }, where: { kind: "on", names: ["a"] }, typed: "do" } as const;
    return await createJob(this.home, { ...asked, inputs }, 0);
  }

  /** Goes on with it as a new process would. */
  async again(job: Job): Promise<Tally> {
    return await this.run(await openJob(this.home, job.id));
  }

  /** In virtual time, until it is over. */
  async run(job: Job): Promise<Tally> {
    return await this.until(this.begin(job));
  }

  async begin(job: Job): Promise<Tally> {
    const left = await leftOver(job, this.stop.signal);
    const boxes = [...this.boxes].map(([name, box]) => ({
      id: name,
      name,
      node: "attic",
      slots: box.slots,
      keepBytes: 2 ** 20,
    }));
    const deps = {
      clock: this.clock,
      start: async (name: string) => {
        const box = this.boxes.get(name);
        if (box === undefined) throw new Error(`no box ${name}`);
        return await box.start();
      },
      onProgress: (tally: Tally) => {
        this.latest = tally;
      },
      onFailed: (failure: TaskFailure) => void this.failures.push(failure),
      onBoxNews: (box: string, news: string) => void this.news.push(`${box}: ${news}`),
    };
    return await runJob(deps, { job, boxes, left, draining: this.drain.signal }, this.stop.signal);
  }

  /** Lets time pass until it settles: at most ten virtual minutes. Files take real time, so some of that passes as well. */
  async until<T>(done: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    done.then(mark, mark);
    for (let turn = 0; turn < 6_000 && !settled; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 1));
      await this.clock.advance(100);
    }
    if (!settled) throw new Error("nothing came of it");
    return await done;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
