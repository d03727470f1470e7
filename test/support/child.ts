/** A Node process that runs a few lines of ours, to be killed: what it leaves behind is what a test is after. */

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable } from "node:stream";
import { createInterface } from "node:readline";
import { setTimeout as after } from "node:timers/promises";

export class Child implements AsyncDisposable {
  readonly #process: ChildProcessByStdio<null, Readable, null>;
  /** Keeps those that nobody has asked for yet: two often come at once. */
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<unknown>;

  /** @param code a module; it may import our files by their `file:` URL */
  static async start(code: string): Promise<Child> {
    const child = spawn(process.execPath, ["--input-type=module", "--eval", code], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await once(child, "spawn");
    return new Child(child);
  }

  private constructor(child: ChildProcessByStdio<null, Readable, null>) {
    this.#process = child;
    this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.#exit = once(child, "exit");
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** Resolves with the next line, at most 20 s later. */
  async line(expected?: string): Promise<string> {
    const late = after(20_000, undefined, { ref: false });
    const next = await Promise.race([this.#lines.next(), late]);
    if (next === undefined || next.done === true) throw new Error("the child says nothing more");
    if (expected !== undefined && next.value !== expected) throw new Error(`the child said "${next.value}"`);
    return next.value;
  }

  /** Real time: what the child is in the middle of cannot be seen from here. */
  async liveFor(ms: number): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** SIGKILL: nothing in it runs any more. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#exit;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}
