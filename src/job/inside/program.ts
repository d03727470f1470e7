/** One task's program: started without a shell, heard to its end, and ended with all that it started. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import type { Readable } from "node:stream";
import { after, sleep } from "./clock.ts";
import { MAX_PAYLOAD_BYTES, type TaskEnd, type TaskWish } from "./messages.ts";

/** From being asked to end to being made to. */
const GRACE_MS = 2_000;
/** What it left in the background may hold its output open for ever: without a byte for so long, that has ended. */
const QUIET_MS = 200;
/** A limit beyond what a timer takes is none: 24 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Where tasks start that name no folder: images may have none for their user. */
const { HOME = "/" } = process.env;
const home = isFolder(HOME).then((isThere) => (isThere ? HOME : "/"));

export type HearText = (from: "stdout" | "stderr", piece: Buffer) => Promise<void>;

/** Resolves, never rejects, when it has ended and its output is told. */
export async function runProgram(task: TaskWish, hear: HearText, cancelled: AbortSignal): Promise<TaskEnd> {
  const [file = "", ...words] = task.argv;
  const { cwd = await home } = task;
  const child = spawn(await locate(file), words, {
    argv0: file,
    cwd,
    detached: true,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const exited = once(child, "exit");
  exited.catch(() => undefined); // it never started, which is heard here:
  const started: unknown = await once(child, "spawn").catch((error: unknown) => error);
  if (started instanceof Error) return { kind: "refused", reason: await reasonOf(started, { file, cwd }) };
  const output = new Output(hear);
  const heard = Promise.all([output.pump("stdout", child.stdout), output.pump("stderr", child.stderr)]);
  const limits = new Limits(child, task.timeoutMs, cancelled);
  const [code, signal] = (await exited) as [number | null, string | null];
  limits.lift();
  sendToGroup(child.pid, "SIGKILL"); // whom it left behind
  await Promise.race([heard, output.untilQuiet()]);
  for (const stream of [child.stdout, child.stderr]) stream.destroy();
  return limits.why ?? (signal === null ? { kind: "exited", code: code ?? 0 } : { kind: "signalled", signal });
}

/** Programs by name, as they were found first: a child that looks through PATH costs a quarter more of a task of nothing. */
const found = new Map<string, Promise<string>>();

/** A name that is nowhere stays as it is, for the system to say so. */
async function locate(file: string): Promise<string> {
  if (file === "" || file.includes("/")) return file;
  const known = found.get(file) ?? search(file);
  if (found.size < MAX_FOUND) found.set(file, known);
  const path = await known;
  if (path === file) found.delete(file); // it may come
  return path;
}

/** A command has one; only one that is itself an input has many. */
const MAX_FOUND = 100;

async function search(file: string): Promise<string> {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    if (!isAbsolute(folder)) return file; // it depends on where the task starts
    const path = join(folder, file);
    const runs = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs && !(await isFolder(path))) return path;
  }
  return file;
}

/** What ends it before it ends by itself. */
class Limits {
  readonly #child: ChildProcess;
  readonly #lifts: (() => void)[] = [];
  /** Which of them did. */
  why: TaskEnd | undefined;

  constructor(child: ChildProcess, timeoutMs: number | undefined, cancelled: AbortSignal) {
    this.#child = child;
    const cancel = () => this.#stop({ kind: "cancelled" });
    cancelled.addEventListener("abort", cancel, { once: true });
    this.#lifts.push(() => cancelled.removeEventListener("abort", cancel));
    if (cancelled.aborted) cancel();
    if (timeoutMs !== undefined && timeoutMs <= MAX_TIMER_MS)
      this.#lifts.push(after(timeoutMs, () => this.#stop({ kind: "late" })));
  }

  lift(): void {
    for (const lift of this.#lifts) lift();
  }

  #stop(end: TaskEnd): void {
    this.why ??= end;
    const { pid } = this.#child;
    sendToGroup(pid, "SIGTERM");
    this.#lifts.push(after(GRACE_MS, () => sendToGroup(pid, "SIGKILL")));
  }
}

class Output {
  readonly #hear: HearText;
  #bytes = 0;
  #pumping = 2;

  constructor(hear: HearText) {
    this.#hear = hear;
  }

  async pump(from: "stdout" | "stderr", stream: Readable): Promise<void> {
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        this.#bytes += chunk.length;
        for (let at = 0; at < chunk.length; at += MAX_PAYLOAD_BYTES)
          await this.#hear(from, chunk.subarray(at, at + MAX_PAYLOAD_BYTES));
      }
    } catch {
      // nobody holds its other end any more, or we let go of it
    }
    this.#pumping--;
  }

  async untilQuiet(): Promise<void> {
    for (let before = -1; before !== this.#bytes && this.#pumping > 0; ) {
      before = this.#bytes;
      await sleep(QUIET_MS);
    }
  }
}

/** Who started others leads their group. */
function sendToGroup(pid: number | undefined, signal: NodeJS.Signals): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, signal);
  } catch {
    // all of them are gone
  }
}

async function isFolder(path: string): Promise<boolean> {
  return await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  );
}

async function reasonOf(
  error: NodeJS.ErrnoException,
  { file, cwd }: { readonly file: string; readonly cwd: string },
): Promise<string> {
  if (!(await isFolder(cwd))) return `no such folder: ${cwd}`; // which the system says in the same words
  if (error.code === "ENOENT") return `no such program: ${file}`;
  if (error.code === "EACCES") return `permission denied: ${file}`;
  return error.code === "E2BIG" ? "its words are too long" : error.message;
}
