/**
 * The command that runs beside the resident for as long as the sandbox lives, and its log: two files of at most 10 MB, of
 * which the older one goes when the newer one is full. The runtime reads them; they are the guest's own like all in here.
 */

import { createWriteStream, type WriteStream } from "node:fs";
import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { resolveCommand } from "./command.ts";
import { isProgram, startPiped } from "./program.ts";
import { Refusal } from "./refusal.ts";

/** As Docker's local log driver is told in most places. */
export const MAX_LOG_BYTES = 10 * 1024 * 1024;
/** The one that is being written, and the one before it. */
export const logFiles = ["command.log", "command.log.1"] as const;
/** What the command ended with, as JSON. */
export const END_FILE = "command.end";

export interface BesideDeps {
  readonly env: Readonly<Record<string, string>>;
  /** The folder of the resident's own things; the log goes into `log` in it. */
  readonly folder: string;
}

/** Resolves when it runs, or could not be run: that is said in the log, as a shell would. */
export async function startBeside(start: unknown, { env, folder }: BesideDeps): Promise<void> {
  const log = new RotatedLog(join(folder, "log"));
  const command = await resolveCommand({ argv: parseArgv(start), env: {} }, env);
  const program = "kind" in command ? command : await startPiped(command);
  if (!isProgram(program)) {
    await log.write(Buffer.from(`${program.reason}\n`));
    await log.end(program);
    return;
  }
  program.endInput();
  const copies = program.outputs.map(async ({ from }) => {
    for await (const bytes of from as AsyncIterable<Buffer>) await log.write(bytes);
  });
  void Promise.allSettled(copies).then(async () => {
    await log.end(await program.exited);
  });
}

function parseArgv(start: unknown): readonly string[] {
  const argv: unknown = typeof start === "object" && start !== null && "argv" in start ? start.argv : undefined;
  if (!Array.isArray(argv) || argv.length === 0 || argv.some((word) => typeof word !== "string")) {
    throw new Refusal("bad-argument", "a command has words");
  }
  return argv as string[];
}

/** A disk that is full loses lines, not the command. */
class RotatedLog {
  readonly #paths: readonly [string, string];
  readonly #endFile: string;
  #stream: WriteStream;
  #size = 0;
  #last: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#paths = [join(folder, logFiles[0]), join(folder, logFiles[1])];
    this.#endFile = join(folder, END_FILE);
    this.#stream = openLog(this.#paths[0]);
  }

  /** One after the other, though two streams write: resolves when `bytes` are in the file. */
  write(bytes: Buffer): Promise<void> {
    this.#last = this.#last.then(() => this.#write(bytes));
    return this.#last;
  }

  async end(outcome: object): Promise<void> {
    await this.#last;
    await close(this.#stream);
    const stream = createWriteStream(this.#endFile, { flags: "w", mode: 0o600 });
    stream.on("error", () => {});
    stream.end(JSON.stringify(outcome));
  }

  async #write(bytes: Buffer): Promise<void> {
    if (this.#size + bytes.length > MAX_LOG_BYTES) await this.#rotate();
    this.#size += bytes.length;
    if (!this.#stream.writable) return;
    await new Promise<void>((resolve) => this.#stream.write(bytes, () => resolve()));
  }

  async #rotate(): Promise<void> {
    await close(this.#stream);
    await rename(...this.#paths).catch(() => {}); // the guest has removed it
    this.#stream = openLog(this.#paths[0]);
    this.#size = await stat(this.#paths[0]).then(
      ({ size }) => size,
      () => 0, // not made yet
    );
  }
}

function openLog(path: string): WriteStream {
  const stream = createWriteStream(path, { flags: "a", mode: 0o600 });
  stream.on("error", () => {}); // no longer writable: see write
  return stream;
}

async function close(stream: WriteStream): Promise<void> {
  stream.end();
  await finished(stream).catch(() => {}); // it failed before
}
