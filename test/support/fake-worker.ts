/** A worker of `p2prc map` in memory: what each task does is a function, in virtual time. */

import { createHash } from "node:crypto";
import type { Failure } from "../../src/core/light.ts";
import type { Channel } from "../../src/job/box-worker.ts";
import {
  encodeMessage,
  type FromWorker,
  MessageReader,
  type TaskEnd,
  type TaskWish,
  type ToWorker,
} from "../../src/job/inside/messages.ts";

export interface Did {
  readonly end?: TaskEnd;
  readonly outs?: readonly (string | undefined)[];
  readonly stdout?: string;
  readonly stderr?: string;
  /** Tells this hash in the place of the right one. */
  readonly lies?: boolean;
}

export type Does = (task: TaskWish, signal: AbortSignal) => Promise<Did>;

/** A sandbox: outlives its workers. */
export class FakeBox {
  readonly slots: number;
  does: Does;
  /** Why the next worker does not start. */
  refuses: Failure | undefined;
  /** Words of the commands that were begun. */
  readonly ran: string[] = [];
  /** Hashes, as they came. */
  readonly shipped: string[] = [];
  readonly kept = new Set<string>();
  cleared = false;
  starts = 0;
  #live: FakeChannel | undefined;

  constructor(does: Does, slots = 1) {
    this.does = does;
    this.slots = slots;
  }

  async start(): Promise<Channel> {
    this.starts++;
    if (this.refuses !== undefined) throw this.refuses;
    this.#live = new FakeChannel(this);
    return this.#live;
  }

  /** As when its node loses power. */
  cut(): void {
    this.#live?.cut();
  }

  /** It takes and says nothing any more, but does not go away. */
  freeze(): void {
    if (this.#live !== undefined) this.#live.frozen = true;
  }
}

class FakeChannel implements Channel {
  frozen = false;
  readonly #box: FakeBox;
  readonly #reader = new MessageReader();
  readonly #tasks = new Map<number, AbortController>();
  readonly #waiting: { readonly task: TaskWish; readonly sha256: string }[] = [];
  readonly #coming = new Map<string, Buffer[]>();
  readonly #queue: (() => void)[] = [];
  #said: Uint8Array[] = [];
  #news = Promise.withResolvers<void>();
  #closed = false;
  #free: number;

  constructor(box: FakeBox) {
    this.#box = box;
    this.#free = box.slots;
  }

  async write(bytes: Uint8Array): Promise<void> {
    if (this.#closed || this.frozen) return;
    for (const { header, payload } of this.#reader.take(bytes)) this.#take(header as ToWorker, Buffer.from(payload));
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#output();
  }

  lastWords(): string {
    return "";
  }

  cut(): void {
    this.#closed = true;
    for (const task of this.#tasks.values()) task.abort();
    this.#news.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
  }

  async *#output(): AsyncGenerator<Uint8Array> {
    while (!this.#closed) {
      const said = this.#said;
      this.#said = [];
      for (const bytes of said) yield bytes;
      if (this.#said.length === 0 && !this.#closed) await this.#news.promise;
      this.#news = Promise.withResolvers();
    }
  }

  #say(message: FromWorker, payload = ""): void {
    if (this.#closed || this.frozen) return;
    this.#said.push(encodeMessage(message, Buffer.from(payload)));
    this.#news.resolve();
  }

  #take(message: ToWorker, payload: Buffer): void {
    const { do: what } = message;
    if (what === "open") this.#say({ did: "ready", root: "/root" });
    else if (what === "task") this.#begin(message);
    else if (what === "put") this.#coming.set(message.sha256, [...(this.#coming.get(message.sha256) ?? []), payload]);
    else if (what === "put-end") this.#arrived(message.sha256);
    else if (what === "put-drop") this.#coming.delete(message.sha256);
    else if (what === "cancel") this.#tasks.get(message.id)?.abort();
    else {
      this.#box.cleared = true;
      this.cut();
    }
  }

  #begin(task: TaskWish): void {
    this.#tasks.set(task.id, new AbortController());
    const missing = task.inputs.find(({ sha256 }) => !this.#box.kept.has(sha256));
    if (missing === undefined) {
      void this.#run(task);
      return;
    }
    this.#waiting.push({ task, sha256: missing.sha256 });
    if (this.#coming.has(missing.sha256)) return;
    this.#coming.set(missing.sha256, []);
    this.#say({ did: "need", id: task.id, sha256: missing.sha256 });
  }

  #arrived(sha256: string): void {
    const content = Buffer.concat(this.#coming.get(sha256) ?? []);
    if (hashOf(content) !== sha256) throw new Error("what came is not what was sent");
    this.#box.kept.add(sha256);
    this.#box.shipped.push(sha256);
    for (const { task } of this.#waiting.filter((one) => one.sha256 === sha256)) void this.#run(task);
  }

  async #run(task: TaskWish): Promise<void> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#free--;
    const { id } = task;
    const signal = this.#tasks.get(id)?.signal ?? AbortSignal.abort();
    if (this.#closed) return;
    if (signal.aborted) {
      this.#release();
      this.#say({ did: "ended", id, end: { kind: "cancelled" }, ms: 0 });
      return;
    }
    this.#box.ran.push(task.argv.join(" "));
    this.#say({ did: "started", id });
    const did = await this.#box.does(task, signal).catch((): Did => ({ end: { kind: "cancelled" } }));
    this.#release();
    this.#tell(id, did);
    this.#tasks.delete(id);
    this.#say({ did: "ended", id, end: did.end ?? { kind: "exited", code: 0 }, ms: 10 });
  }

  #tell(id: number, did: Did): void {
    if (did.stdout !== undefined) this.#say({ did: "text", id, from: "stdout" }, did.stdout);
    if (did.stderr !== undefined) this.#say({ did: "text", id, from: "stderr" }, did.stderr);
    for (const [out, content] of (did.outs ?? []).entries()) {
      if (content === undefined) continue;
      this.#say({ did: "file", id, out }, content);
      const sha256 = did.lies === true ? "0".repeat(64) : hashOf(Buffer.from(content));
      this.#say({ did: "file-end", id, out, size: Buffer.byteLength(content), sha256 });
    }
  }

  #release(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

function hashOf(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex");
}
