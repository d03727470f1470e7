/**
 * The command line in process: `lab.p2prc("ls", "--json")` runs `main` against a daemon that answers
 * from a table of routes, through the real client, on a machine that is only pretended.
 */

import { type Duplex, Readable, Writable } from "node:stream";
import { clientOver, type Exchange, type Transport } from "../../src/client/index.ts";
import type { Io, OpenOptions, Streams } from "../../src/cli/io.ts";
import type { Machine, Ran } from "../../src/cli/machine.ts";
import { main } from "../../src/cli/main.ts";
import { terminal } from "../../src/cli/terminal.ts";
import { Failure, failures } from "../../src/core/light.ts";
import { VirtualClock } from "./virtual-clock.ts";

/** A value is the answer; a Failure the error; `steps` are the lines of a long one; `text` is sent as it is. */
export type Answer =
  | { readonly steps: readonly unknown[] }
  | { readonly text: string; readonly status?: number }
  | { readonly value: unknown }
  | Failure;
export type Routes = Readonly<Record<string, Answer | ((body: unknown) => Answer)>>;

export interface Ended {
  readonly exit: number;
  readonly out: string[];
  readonly err: string[];
}

export interface LabOptions {
  readonly routes?: Routes;
  readonly environment?: Readonly<Record<string, string>>;
  readonly userFolder?: string;
  readonly platform?: NodeJS.Platform;
  /** What a person would type, one answer for each question. Without it nobody is there. */
  readonly answers?: readonly string[];
  readonly interrupt?: AbortController;
  /** The daemon takes every question and answers none. */
  readonly hangs?: boolean;
  /** Whether a daemon answers already. */
  readonly running?: boolean;
  readonly run?: (command: string, args: readonly string[]) => Ran;
  /** How a program ends that takes the terminal. Undefined from it: it is not there. */
  readonly attached?: (args: readonly string[]) => number | undefined | Promise<number>;
  /** In the place of an empty stdin, and of what is kept of stdout and stderr. */
  readonly streams?: Streams;
  /** Whether a person reads the results. @default false */
  readonly interactive?: boolean;
  /** What a byte stream leads to. */
  readonly connect?: (target: string) => Duplex | Failure;
}

export class CliLab {
  readonly clock = new VirtualClock();
  /** What the daemon was asked: `GET /v1/status`. */
  readonly asked: { readonly route: string; readonly body: unknown }[] = [];
  readonly opened: OpenOptions[] = [];
  /** Those that became this process. */
  readonly daemons: Pick<OpenOptions, "home" | "flags">[] = [];
  readonly stopped: string[] = [];
  readonly ran: string[] = [];
  readonly questions: string[] = [];
  /** Ctrl-C. */
  readonly interrupt: AbortController;
  /** Ctrl-C once more. */
  readonly insist = new AbortController();
  readonly #options: LabOptions;

  constructor(options: LabOptions = {}) {
    this.#options = options;
    this.interrupt = options.interrupt ?? new AbortController();
  }

  async p2prc(...argv: string[]): Promise<Ended> {
    const stdout = new Written();
    const stderr = new Written();
    const answers = [...(this.#options.answers ?? [])];
    const screen = terminal({
      stdout,
      stderr,
      environment: this.#options.environment ?? {},
      clock: this.clock,
      signal: this.interrupt.signal,
    });
    const io: Io = {
      ...screen,
      interactive: this.#options.interactive === true,
      streams: this.#options.streams ?? fakeStreams(stdout, stderr),
      signal: this.interrupt.signal,
      insisted: () => this.insist.signal,
      clock: this.clock,
      machine: this.#machine(),
      ask: async (question) => {
        this.questions.push(question);
        return answers.shift();
      },
      open: async (options) => {
        this.opened.push(options);
        return clientOver(this.#transport());
      },
      isRunning: async () => this.#options.running !== false,
      stop: async (home) => {
        this.stopped.push(home);
        return this.#options.running === false ? undefined : { name: "attic", pid: 4711 };
      },
      runDaemon: async (options, onReady) => {
        this.daemons.push(options);
        await onReady();
      },
    };
    const exit = await main(argv, io);
    screen.clear();
    return { exit, out: lines(stdout.text), err: lines(stderr.text) };
  }

  #machine(): Machine {
    const { environment = {}, userFolder = "/home/ada", platform = "linux", run, attached } = this.#options;
    return {
      platform,
      environment,
      userFolder,
      node: "/usr/bin/node",
      nodeVersion: "v24.0.0",
      bin: "/opt/p2prc/src/cli/bin.ts",
      run: async (command, args) => {
        this.ran.push([command, ...args].join(" "));
        return run?.(command, args) ?? { code: 0, stdout: "", stderr: "" };
      },
      attach: async (command, args) => {
        this.ran.push([command, ...args].join(" "));
        return attached === undefined ? 0 : await attached(args);
      },
    };
  }

  #transport(): Transport {
    return {
      send: async ({ method, path, body }: Exchange, signal) => {
        if (this.#options.hangs === true) await this.clock.sleep(Number.POSITIVE_INFINITY, signal);
        const route = `${method} ${path}`;
        this.asked.push({ route, body });
        const found = this.#options.routes?.[route];
        const answer =
          typeof found === "function" ? found(body) : (found ?? new Failure("not-found", `no route ${route}`));
        const [status, text] = replyOf(answer);
        return { status, body: pieces(text) };
      },
      connect: async (target) => {
        this.asked.push({ route: `CONNECT ${target}`, body: undefined });
        const found = this.#options.connect?.(target) ?? new Failure("not-found", `nothing at ${target}`);
        if (!(found instanceof Failure)) return found;
        const [status, text] = replyOf(found);
        return { status, body: pieces(text) };
      },
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
}

function fakeStreams(stdout: Written, stderr: Written): Streams {
  const keep = (written: Written) =>
    new Writable({
      write(chunk, _encoding, done) {
        written.write(String(chunk));
        done();
      },
    });
  return { stdin: Readable.from([]), stdout: keep(stdout), stderr: keep(stderr), setRaw: async () => undefined };
}

/** A stream that keeps what it is given. */
export class Written {
  text = "";

  write(text: string): boolean {
    this.text += text;
    return true;
  }
}

function replyOf(answer: Answer): [number, string] {
  if (answer instanceof Failure) {
    const { code, message, hint } = answer;
    return [failures[code].status, JSON.stringify({ error: { code, message, hint } })];
  }
  if ("steps" in answer) return [200, answer.steps.map((step) => `${JSON.stringify(step)}\n`).join("")];
  if ("text" in answer) return [answer.status ?? 200, answer.text];
  return [200, JSON.stringify(answer.value) ?? ""];
}

/** As a network would: in pieces that know nothing of lines or characters. */
async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7);
}

function lines(text: string): string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}
