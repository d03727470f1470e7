/**
 * A job on disk, below `jobs/` in the home: what was asked for (`job.json`), its inputs (`inputs`), what became of each task
 * (`journal`), and what each printed (`text/`). Enough to go on with it after whatever has happened.
 */

import { randomBytes } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isRunning } from "../base/index.ts";
import { cleanText, Failure } from "../core/light.ts";
import { failureHere } from "./failure-here.ts";
import { readJournal } from "./journal.ts";
import type { JobSpec } from "./plan.ts";

/** Where its tasks run: in sandboxes that are there, or in some of its own, by the words of whoever makes them. */
export type Where =
  | { readonly kind: "on"; readonly names: readonly string[] }
  | { readonly kind: "own"; readonly count: number; readonly request: object };

export interface Asked {
  readonly spec: JobSpec;
  readonly where: Where;
  /** How it was typed, for people. */
  readonly typed: string;
}

export interface Job extends Asked {
  readonly id: string;
  readonly folder: string;
  readonly inputs: readonly string[];
}

export interface JobRow {
  readonly id: string;
  readonly typed: string;
  /** Milliseconds since 1970. */
  readonly made: number;
  readonly tasks: number;
  readonly done: number;
  readonly failed: number;
}

interface Written extends Asked {
  readonly format: 1;
  readonly made: number;
  readonly tasks: number;
}

const FOLDER = "jobs";
/** Short enough to type; where one is taken another is drawn. */
const ID_BYTES = 2;
const TRIES = 16;

/** @throws {Failure} disk-full, home-unusable */
export async function createJob(
  home: string,
  { inputs, ...asked }: Asked & { readonly inputs: readonly string[] },
  made: number,
): Promise<Job> {
  const root = join(home, FOLDER);
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const { id, folder } = await newFolder(root);
    await writeFile(join(folder, "inputs"), inputs.map((input) => JSON.stringify(input)).join("\n"), { mode: 0o600 });
    const written: Written = { format: 1, made, tasks: inputs.length, ...asked };
    // It counts as there once this is: last, and in one step.
    await writeFile(join(folder, "job.json.new"), `${JSON.stringify(written, undefined, 2)}\n`, {
      mode: 0o600,
      flush: true,
    });
    await rename(join(folder, "job.json.new"), join(folder, "job.json"));
    return { id, folder, inputs, ...asked };
  } catch (error) {
    throw failureHere(error, root);
  }
}

/** @param id or how it begins @throws {Failure} not-found, ambiguous */
export async function openJob(home: string, id: string): Promise<Job> {
  const found = await findJob(home, id);
  const folder = join(home, FOLDER, found);
  const { spec, where, typed } = await readWritten(folder);
  const text = await readFile(join(folder, "inputs"), "utf8");
  const inputs = text.split("\n").map((line) => JSON.parse(line) as string);
  return { id: found, folder, spec, where, typed, inputs };
}

/** The newest last. */
export async function listJobs(home: string): Promise<readonly JobRow[]> {
  const rows: JobRow[] = [];
  for (const id of await jobIds(home)) {
    const folder = join(home, FOLDER, id);
    const written = await readWritten(folder).catch(() => undefined); // it was never begun
    if (written === undefined) continue;
    const { entries } = await readJournal(join(folder, "journal"));
    const done = [...entries.values()].filter(({ ok }) => ok).length;
    const { typed, made, tasks } = written;
    rows.push({ id, typed, made, tasks, done, failed: entries.size - done });
  }
  return rows.sort((a, b) => a.made - b.made);
}

/** @returns its id @throws {Failure} not-found, ambiguous, conflict */
export async function removeJob(home: string, id: string): Promise<string> {
  const found = await findJob(home, id);
  const folder = join(home, FOLDER, found);
  await using _held = await holdJob({ id: found, folder });
  await rm(folder, { recursive: true, force: true });
  return found;
}

/** Two that go on with the same job would do everything twice. @throws {Failure} conflict */
export async function holdJob({ id, folder }: Pick<Job, "id" | "folder">): Promise<AsyncDisposable> {
  const path = join(folder, "holder");
  for (let tried = 0; tried < 2; tried++) {
    try {
      await using file = await open(path, "wx", 0o600);
      await file.writeFile(String(process.pid));
      return { [Symbol.asyncDispose]: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw failureHere(error, path);
      const pid = Number(await readFile(path, "utf8").catch(() => "")); // it has just ended
      if (isRunning(pid))
        throw new Failure("conflict", `another p2prc works on the job ${id} (process ${pid})`, {
          hint: `wait for its end; where that is no p2prc, remove "${path}"`,
        });
      await rm(path, { force: true });
    }
  }
  throw new Failure("conflict", `another p2prc works on the job ${id}`);
}

async function newFolder(root: string): Promise<{ readonly id: string; readonly folder: string }> {
  for (let tried = 1; ; tried++) {
    const id = randomBytes(tried > TRIES ? 2 * ID_BYTES : ID_BYTES).toString("hex");
    const folder = join(root, id);
    try {
      await mkdir(folder, { mode: 0o700 });
      return { id, folder };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST" || tried > 2 * TRIES) throw error;
    }
  }
}

async function findJob(home: string, text: string): Promise<string> {
  const ids = (await jobIds(home)).filter((id) => id.startsWith(text.toLowerCase()));
  const [only] = ids;
  const hint = "`p2prc map --list` shows them";
  if (only === undefined) throw new Failure("not-found", `no job "${cleanText(text, 40)}"`, { hint });
  if (ids.length > 1 && !ids.includes(text))
    throw new Failure("ambiguous", `"${text}" may be ${ids.join(" or ")}`, { hint });
  return ids.includes(text) ? text : only;
}

async function jobIds(home: string): Promise<readonly string[]> {
  const names = await readdir(join(home, FOLDER)).catch(() => []); // there never was one
  return names.filter((name) => /^[0-9a-f]{4,8}$/.test(name));
}

async function readWritten(folder: string): Promise<Written> {
  const path = join(folder, "job.json");
  const written = JSON.parse(await readFile(path, "utf8")) as Written;
  if (written.format === 1) return written;
  throw new Failure("conflict", `"${path}" is of another version of P2PRC`);
}
