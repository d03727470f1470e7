/**
 * What became of each task, a line of JSON each, only ever added to. Lines go down to the disk in batches: a power cut costs the
 * last moments of what was noted, and those tasks are done again.
 */

import { type FileHandle, open, readFile } from "node:fs/promises";
import type { Clock } from "../base/index.ts";
import { failureHere } from "./failure-here.ts";

export type Entry =
  | {
      readonly n: number;
      readonly ok: true;
      readonly box: string;
      readonly ms: number;
      readonly input?: FileMark | undefined;
      /** Sizes of its outputs. */
      readonly outs: readonly number[];
    }
  | { readonly n: number; readonly ok: false; readonly why: string };

/** By which a file is known again. */
export interface FileMark {
  readonly size: number;
  readonly mtimeMs: number;
  readonly sha256: string;
}

/** Between two batches. Under load each holds what came meanwhile, so the disk sets no limit to tasks. */
const BATCH_MS = 100;

export class Journal implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  #lines: string[] = [];
  #writing: Promise<void> | undefined;
  #failure: Error | undefined;

  /** @param torn whether a line at its end was cut off: what follows begins a new one */
  static async open(
    path: string,
    { clock, torn }: { readonly clock: Clock; readonly torn: boolean },
  ): Promise<Journal> {
    const journal = new Journal(await open(path, "a", 0o600), path, clock);
    if (torn) journal.#lines.push("");
    return journal;
  }

  private constructor(file: FileHandle, path: string, clock: Clock) {
    this.#file = file;
    this.#path = path;
    this.#clock = clock;
  }

  /** @throws {Failure} disk-full, where an earlier one could not be written */
  add(entry: Entry): void {
    this.check();
    this.#lines.push(JSON.stringify(entry));
    this.#writing ??= this.#write();
  }

  /** @throws {Failure} disk-full */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #write(): Promise<void> {
    try {
      while (this.#lines.length > 0) {
        await this.#flush();
        await this.#clock.sleep(BATCH_MS, this.#closing.signal).catch(() => undefined); // closing does not wait
      }
    } catch (error) {
      this.#failure = failureHere(error, this.#path) as Error;
    }
    this.#writing = undefined;
  }

  async #flush(): Promise<void> {
    const lines = this.#lines;
    this.#lines = [];
    await this.#file.appendFile(`${lines.join("\n")}\n`);
    await this.#file.datasync();
  }

  /** All that was added is on the disk then. @throws {Failure} disk-full */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#writing;
    await this.#file.close();
    this.check();
  }
}

/** The last word about each task. A line that was cut off, or is none, is as if it were not there. */
export async function readJournal(
  path: string,
): Promise<{ readonly entries: Map<number, Entry>; readonly torn: boolean }> {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return "";
    throw failureHere(error, path);
  });
  const entries = new Map<number, Entry>();
  for (const line of text.split("\n")) {
    const entry = parseEntry(line);
    if (entry !== undefined) entries.set(entry.n, entry);
  }
  return { entries, torn: text !== "" && !text.endsWith("\n") };
}

function parseEntry(line: string): Entry | undefined {
  try {
    const entry = JSON.parse(line) as Entry;
    return Number.isInteger(entry.n) && typeof entry.ok === "boolean" ? entry : undefined;
  } catch {
    return undefined;
  }
}
