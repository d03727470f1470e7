/**
 * One exec: frames of `frames.ts` on the stream, a process behind them.
 *
 * Both ways wait for each other: what the process does not read stays with the sender, what the sender does not read stays in
 * the process. A stream that breaks takes the process with it, as a terminal that hangs up; one that ends does not.
 */

import { constants } from "node:os";
import type { Duplex, Readable } from "node:stream";
import type { Sleeper } from "./clock.ts";
import { type Refused, resolveCommand } from "./command.ts";
import { drained } from "./drained.ts";
import { encodeFrame, type Frame, FrameReader } from "./frames.ts";
import { parseSize, parseStart } from "./exec-words.ts";
import { isProgram, type Program, startPiped } from "./program.ts";
import type { ExecEnd, ExecStart } from "./protocol.ts";
import { killSession, sendSignal, signalledGroup } from "./sessions.ts";
import { startInTerminal } from "./terminal.ts";

/** From the hang-up to the end of those who stay all the same. */
const GRACE_MS = 10_000;
/** Once the process is gone, its output counts as ended after this long without a byte: something it left in the background may hold it open for ever. */
const QUIET_MS = 200;

export interface ExecDeps {
  readonly sleeper: Sleeper;
  /** What the runtime gives everybody inside: an image's own variables. */
  readonly env: Readonly<Record<string, string>>;
}

/** Resolves, never rejects, when the stream is closed and, where it broke, the process gone. */
export async function serveExec(stream: Duplex, deps: ExecDeps): Promise<void> {
  const broken = new Promise<void>((resolve) => stream.once("close", resolve));
  stream.on("error", () => {}); // "close" follows
  const exec = new Exec(stream, deps);
  const reading = exec.readFrames().catch((error: unknown) => void stream.destroy(error as Error));
  await Promise.race([exec.ended, broken]);
  await exec.leave();
  await broken;
  await reading;
}

class Exec {
  readonly #stream: Duplex;
  readonly #deps: ExecDeps;
  readonly #end = Promise.withResolvers<void>();
  readonly ended = this.#end.promise;
  #program: Program | undefined;
  #living = false;
  #bytesOut = 0;
  #finished = false;

  constructor(stream: Duplex, deps: ExecDeps) {
    this.#stream = stream;
    this.#deps = deps;
  }

  /** @throws when what came is not what was agreed, or the stream broke */
  async readFrames(): Promise<void> {
    const reader = new FrameReader();
    for await (const bytes of this.#stream as AsyncIterable<Buffer>) {
      for (const frame of reader.take(bytes)) await this.#take(frame);
    }
    this.#program?.endInput(); // half-closed without a word: no more will come
  }

  /** Where the process lives on without anybody to hear it. */
  async leave(): Promise<void> {
    const program = this.#program;
    program?.release();
    if (program === undefined || this.#finished) return;
    const { sleeper } = this.#deps;
    const gone = new AbortController();
    sendSignal(-program.pid, "SIGHUP");
    sendSignal(-program.pid, "SIGCONT");
    const exited = program.exited.then(() => gone.abort());
    await sleeper.sleep(GRACE_MS, gone.signal).catch(() => undefined); // it went by itself
    await killSession(program.pid, this.#living);
    await exited;
  }

  async #take({ kind, content }: Frame): Promise<void> {
    if (this.#finished) return; // what was on its way when it was refused
    const program = this.#program;
    if (program === undefined) {
      if (kind !== "start") throw new RangeError(`an exec begins with start, not ${kind}`);
      await this.#start(parseStart(content));
    } else if (kind === "stdin") await this.#feed(program, content);
    else if (kind === "stdinEnd") program.endInput();
    else if (kind === "resize") program.resize(...parseSize(content));
    else if (kind === "signal") await this.#signal(program, content.toString("latin1"));
    else throw new RangeError(`${kind} does not come from outside`);
  }

  async #start(start: ExecStart): Promise<void> {
    const program = await launch(start, this.#deps);
    if (!isProgram(program)) {
      this.#finish(program);
      return;
    }
    this.#program = program;
    this.#living = true;
    const ends = program.outputs.map(({ kind, from }) => this.#pump(kind, from));
    void this.#settle(program, Promise.all(ends));
  }

  async #settle(program: Program, outputsEnded: Promise<unknown>): Promise<void> {
    const end = await program.exited;
    this.#living = false;
    const quiet = new AbortController();
    await Promise.race([outputsEnded, this.#untilQuiet(quiet.signal)]);
    quiet.abort();
    this.#finish(end);
  }

  async #untilQuiet(signal: AbortSignal): Promise<void> {
    let before = -1;
    while (before !== this.#bytesOut || this.#stream.writableNeedDrain) {
      before = this.#bytesOut;
      await this.#deps.sleeper.sleep(QUIET_MS, signal).catch(() => undefined); // the outputs ended first
      if (signal.aborted) return;
    }
  }

  #finish(end: ExecEnd): void {
    if (!this.#stream.destroyed) {
      this.#finished = true;
      this.#stream.end(encodeFrame("end", JSON.stringify(end)));
    }
    this.#end.resolve();
  }

  async #pump(kind: "stdout" | "stderr", from: Readable): Promise<void> {
    try {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        this.#bytesOut += chunk.length;
        if (this.#finished || this.#stream.destroyed) return;
        if (!this.#stream.write(encodeFrame(kind, chunk))) await drained(this.#stream);
      }
    } catch {
      // the terminal has nobody at its other end, or the stream broke: either way there is no more
    }
  }

  async #feed(program: Program, bytes: Buffer): Promise<void> {
    const { input } = program;
    if (input.destroyed || input.writableEnded) return; // it closed its input; what comes is dropped, as a broken pipe drops it
    if (!input.write(bytes)) await drained(input);
  }

  async #signal(program: Program, name: string): Promise<void> {
    if (!Object.hasOwn(constants.signals, name)) throw new RangeError("no such signal");
    if (this.#living) sendSignal(-(await signalledGroup(program.pid)), name as NodeJS.Signals);
  }
}

async function launch(start: ExecStart, { env, sleeper }: ExecDeps): Promise<Program | Refused> {
  const command = await resolveCommand(start, env);
  if ("kind" in command) return command;
  return start.terminal === undefined ? await startPiped(command) : startInTerminal(command, start.terminal, sleeper);
}
