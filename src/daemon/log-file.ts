/**
 * Where pino writes: a file in the home that is begun anew at 10 MB, four older ones kept.
 *
 * Whoever follows the log hears each line. A full disk loses lines, never the daemon.
 */

import { closeSync, fstatSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { Topic } from "../base/index.ts";

const MAX_BYTES = 10_000_000;
const OLDER_FILES = 4;
/** Enough for the 10,000 lines that `p2prc logs` may ask for. */
const MAX_TAIL_BYTES = 2_000_000;

export class LogFile implements Disposable {
  readonly lines = new Topic<string>();
  readonly path: string;
  #file: number;
  #bytes: number;
  #lost = 0;

  constructor(path: string) {
    this.path = path;
    this.#file = openSync(path, "a", 0o600);
    this.#bytes = fstatSync(this.#file).size;
  }

  /** Lines that a full disk lost. */
  get lost(): number {
    return this.#lost;
  }

  /** What pino calls: one line with its end. */
  write(line: string): void {
    try {
      if (this.#bytes + line.length > MAX_BYTES) this.#rotate();
      this.#bytes += writeSync(this.#file, line);
    } catch {
      this.#lost++; // there is nowhere left to say it; `status` tells the number
    }
    this.lines.publish(line.trimEnd());
  }

  /** The last `count` lines. */
  async tail(count: number): Promise<readonly string[]> {
    await using file = await open(this.path, "r");
    const { size } = await file.stat();
    const start = Math.max(0, size - MAX_TAIL_BYTES);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - start), 0, size - start, start);
    const lines = buffer.toString("utf8", 0, bytesRead).split("\n").slice(0, -1);
    return count === 0 ? [] : lines.slice(-count);
  }

  [Symbol.dispose](): void {
    closeSync(this.#file);
  }

  #rotate(): void {
    closeSync(this.#file);
    rmSync(`${this.path}.${OLDER_FILES}`, { force: true });
    for (let number = OLDER_FILES - 1; number >= 0; number--)
      move(number === 0 ? this.path : `${this.path}.${number}`, `${this.path}.${number + 1}`);
    this.#file = openSync(this.path, "a", 0o600);
    this.#bytes = 0;
  }
}

function move(from: string, to: string): void {
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error; // there are fewer old ones yet
  }
}
