/**
 * The worker of one job in one sandbox: takes tasks on stdin (`messages.ts`), runs as many at once as there are slots, and
 * says on stdout what comes of them. It ends with its stdin, and takes with it what it started.
 */

import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import { Socket } from "node:net";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { Blobs } from "./blobs.ts";
import { after, now, sleep } from "./clock.ts";
import { encodeMessage, type FromWorker, MAX_PAYLOAD_BYTES, MessageReader } from "./messages.ts";
import type { TaskEnd, TaskWish, ToWorker } from "./messages.ts";
import { runProgram } from "./program.ts";

interface Work {
  readonly root: string;
  readonly blobs: Blobs;
  readonly slots: Slots;
  /** To cancel each that is here. */
  readonly tasks: Map<number, AbortController>;
}

/** Below the home, so that it counts as the sandbox's disk, not its memory. */
const FOLDER = ".p2prc-map";

let work: Work | undefined;

/** Who goes on when a place is free: first come, first served. */
class Slots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** @returns whether it came before the signal */
  async take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#free > 0) {
      this.#free--;
      return true;
    }
    return await new Promise<boolean>((resolve) => {
      const go = () => {
        signal.removeEventListener("abort", leave);
        resolve(true);
      };
      const leave = () => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1);
        resolve(false);
      };
      this.#waiting.push(go);
      signal.addEventListener("abort", leave, { once: true });
    });
  }

  /** Whether somebody waits for one. */
  get wanted(): boolean {
    return this.#waiting.length > 0;
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

/** Not process.stdout: on a pipe that writes while nothing else goes on. */
const output = new Socket({ fd: 1, readable: false, writable: true });
let room = Promise.resolve();

/** Waits for room: whoever does not read us gets no more. */
async function say(message: FromWorker, payload?: Uint8Array): Promise<void> {
  if (!output.write(encodeMessage(message, payload)) && output.writableNeedDrain)
    room = new Promise((resolve) => output.once("drain", resolve));
  await room;
}

async function take(message: ToWorker, payload: Buffer): Promise<void> {
  if (message.do === "open") {
    work = await begin(message);
    await say({ did: "ready", root: work.root });
    return;
  }
  if (work === undefined) throw new Error("open comes first");
  switch (message.do) {
    case "task":
      void perform(message, work);
      return;
    case "put":
      return await work.blobs.put(message.sha256, payload);
    case "put-end":
      return await work.blobs.end(message.sha256);
    case "put-drop":
      return await work.blobs.drop(message.sha256);
    case "cancel":
      work.tasks.get(message.id)?.abort();
      work.blobs.leave(message.id);
      return;
    case "clear":
      await rm(work.root, { recursive: true, force: true });
      process.exit();
  }
}

async function begin({ job, slots, keepBytes }: Extract<ToWorker, { do: "open" }>): Promise<Work> {
  const root = await makeRoot(job);
  await rm(join(root, "tasks"), { recursive: true, force: true }); // of one that was cut off
  const folder = join(root, "inputs");
  await mkdir(folder, { recursive: true });
  const blobs = new Blobs(folder, keepBytes, (sha256, id) => void say({ did: "need", id, sha256 }));
  await blobs.look();
  return { root, blobs, slots: new Slots(slots), tasks: new Map() };
}

async function makeRoot(job: string): Promise<string> {
  const inHome = join(homedir(), FOLDER, job);
  try {
    await mkdir(inHome, { recursive: true });
    return inHome;
  } catch {
    const elsewhere = join(tmpdir(), `${FOLDER}-${process.getuid?.() ?? 0}`, job); // a home that is not there, or read-only
    await mkdir(elsewhere, { recursive: true, mode: 0o700 });
    return elsewhere;
  }
}

/** What is over sooner says that it began by saying that it ended: half of the messages of tasks of nothing. */
const TOLD_LATER_MS = 20;

/** Whatever becomes of it, the last word about it is `ended`. */
async function perform(task: TaskWish, here: Work): Promise<void> {
  const cancelling = new AbortController();
  here.tasks.set(task.id, cancelling);
  const folder = join(here.root, "tasks", String(task.id));
  const usesFiles = task.inputs.length + task.outs.length > 0;
  let ms = 0;
  let started = () => {};
  const end = await (async (): Promise<TaskEnd> => {
    if (usesFiles) await prepare(task, folder, here);
    if (!(await here.slots.take(cancelling.signal))) return { kind: "cancelled" };
    const began = now();
    try {
      started = after(TOLD_LATER_MS, () => void say({ did: "started", id: task.id }));
      const hear = (from: "stdout" | "stderr", piece: Buffer) => say({ did: "text", id: task.id, from }, piece);
      return await runProgram(task, hear, cancelling.signal);
    } finally {
      started();
      ms = now() - began;
      here.slots.release();
    }
  })()
    .then((ended) => (ended.kind === "exited" && ended.code === 0 ? sendOuts(task, folder) : ended))
    .catch((error: unknown): TaskEnd => {
      if (cancelling.signal.aborted) return { kind: "cancelled" };
      return { kind: "refused", reason: error instanceof Error ? error.message : String(error) };
    });
  if (usesFiles) await rm(folder, { recursive: true, force: true }).catch(() => undefined); // it may have locked itself out
  here.tasks.delete(task.id);
  if (ms < TOLD_LATER_MS && here.slots.wanted) gather();
  await say({ did: "ended", id: task.id, end, ms });
}

/** Ends of short tasks go together, while there is more to do: each alone would cost as much on its way. */
const GATHER_MS = 5;
let gathering = false;

function gather(): void {
  if (gathering) return;
  gathering = true;
  output.cork();
  after(GATHER_MS, () => {
    gathering = false;
    output.uncork();
  });
}

async function prepare({ id, inputs }: TaskWish, folder: string, { blobs }: Work): Promise<void> {
  await mkdir(join(folder, "in"), { recursive: true });
  await mkdir(join(folder, "out"));
  for (const { sha256, name } of inputs) await blobs.copy(sha256, join(folder, "in", name), id);
}

async function sendOuts({ id, outs }: TaskWish, folder: string): Promise<TaskEnd> {
  for (const [out, name] of outs.entries()) {
    const problem = await sendFile({ id, out }, join(folder, "out", name));
    if (problem !== undefined) return { kind: "refused", reason: `its output ${name} ${problem}` };
  }
  return { kind: "exited", code: 0 };
}

/** @returns what is wrong with it */
async function sendFile(
  which: { readonly id: number; readonly out: number },
  path: string,
): Promise<string | undefined> {
  // A pipe would be waited for until somebody writes into it, and no limit of time ends that.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(
    (error: NodeJS.ErrnoException) => error,
  );
  if (file instanceof Error) return file.code === "ENOENT" ? "is missing" : `cannot be read (${file.code})`;
  await using _closing = file;
  if (!(await file.stat()).isFile()) return "is no file; pack a folder with tar";
  const hash = createHash("sha256");
  const buffer = Buffer.allocUnsafe(MAX_PAYLOAD_BYTES);
  let size = 0;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length);
    if (bytesRead === 0) break;
    const piece = buffer.subarray(0, bytesRead);
    hash.update(piece);
    size += bytesRead;
    await say({ did: "file", ...which }, piece);
  }
  await say({ did: "file-end", ...which, size, sha256: hash.digest("hex") });
  return undefined;
}

async function leave(): Promise<void> {
  for (const cancelling of work?.tasks.values() ?? []) cancelling.abort();
  for (let waited = 0; waited < MAX_LEAVE_MS && (work?.tasks.size ?? 0) > 0; waited += 50) await sleep(50);
  process.exit();
}

/** For tasks that are asked to end: longer than they have until they are made to. */
const MAX_LEAVE_MS = 3_000;

async function main(): Promise<void> {
  process.on("SIGHUP", () => void leave());
  output.on("error", () => void leave()); // nobody hears us
  const reader = new MessageReader();
  for await (const bytes of process.stdin as AsyncIterable<Buffer>) {
    for (const { header, payload } of reader.take(bytes)) await take(header as ToWorker, payload);
  }
  await leave();
}

void main();
