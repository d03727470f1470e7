/** A program that runs in a namespace. If you hold one, it was started; disposing of it kills it. */

import { type ChildProcess, spawn } from "node:child_process";

export interface SpawnOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** What is kept of each output. A test that floods it has failed anyway. */
const MAX_OUTPUT = 8 * 2 ** 20;

export class NetnsProcess implements AsyncDisposable {
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";
  readonly #waiting = new Set<() => void>();
  /** The exit code, or the signal's name. */
  readonly ended: Promise<number | string>;

  /** `ip netns exec` becomes the program: one process, and its pid is the program's. */
  constructor(namespace: string, argv: readonly [string, ...string[]], { env, cwd }: SpawnOptions = {}) {
    this.#child = spawn("ip", ["netns", "exec", namespace, ...argv], { env, cwd, stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdout?.setEncoding("utf8").on("data", (chunk: string) => this.#keep("out", chunk));
    this.#child.stderr?.setEncoding("utf8").on("data", (chunk: string) => this.#keep("err", chunk));
    this.#child.stdin?.on("error", () => {}); // EPIPE: it has ended, which `ended` tells
    this.ended = new Promise((resolve, reject) => {
      this.#child.once("error", reject);
      this.#child.once("close", (code, signal) => {
        resolve(code ?? signal ?? "unknown");
        this.#news();
      });
    });
    this.ended.catch(() => {}); // told to whoever asks
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get stdout(): string {
    return this.#stdout;
  }

  get stderr(): string {
    return this.#stderr;
  }

  /** Resolves with the match once it is in stdout or stderr; rejects when the program ends without it. */
  async says(pattern: RegExp, signal: AbortSignal): Promise<RegExpExecArray> {
    for (;;) {
      signal.throwIfAborted();
      const match = pattern.exec(this.#stdout) ?? pattern.exec(this.#stderr);
      if (match !== null) return match;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw new Error(`ended without saying ${pattern}:\n${this.#stdout}${this.#stderr}`);
      }
      await this.#somethingNew(signal);
    }
  }

  /** Calls `listener` with what it writes from now on, to either output, until the returned handle is disposed of. */
  onOutput(listener: (text: string) => void): Disposable {
    const outputs = [this.#child.stdout, this.#child.stderr];
    for (const output of outputs) output?.on("data", listener);
    return {
      [Symbol.dispose]: () => {
        for (const output of outputs) output?.off("data", listener);
      },
    };
  }

  /** To its stdin. */
  write(text: string): void {
    this.#child.stdin?.write(text);
  }

  kill(signal: NodeJS.Signals = "SIGTERM"): void {
    this.#child.kill(signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.ended.catch(() => {});
  }

  async #somethingNew(signal: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const onAbort = () => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(resolve);
    try {
      await promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#waiting.delete(resolve);
    }
  }

  #news(): void {
    for (const resolve of this.#waiting) resolve();
  }

  #keep(which: "out" | "err", chunk: string): void {
    if (which === "out") this.#stdout = (this.#stdout + chunk).slice(-MAX_OUTPUT);
    else this.#stderr = (this.#stderr + chunk).slice(-MAX_OUTPUT);
    this.#news();
  }
}
