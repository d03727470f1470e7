/**
 * The stage of the demo: machines that are folders, on which the real program is run as its own
 * process, with every word it says shown as a person would see it. Leaving the stage ends every
 * daemon that was started and removes every folder, however the play went.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { within } from "../../base/index.ts";
import { connect, stopDaemon } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import type { Io } from "../io.ts";

export interface Scene {
  /** The machine on which it is typed. */
  readonly on: string;
  readonly words: readonly string[];
  /** What is run. @default this program, `p2prc` */
  readonly program?: "ssh" | "cat";
  /** What is shown in the place of long words, such as a link. */
  readonly shown?: readonly string[];
}

export interface Played extends Scene {
  readonly exit: number;
  readonly out: string;
}

interface Spoken {
  readonly exit: number;
  /** What it said on stdout. */
  readonly out: string;
}

/** Long enough for a test of speed on a slow machine. */
const SCENE_MS = 60_000;

export class Stage implements AsyncDisposable {
  readonly #io: Io;
  /** In which all of them are, and commands are typed. Gone with the stage. */
  readonly folder: string;
  readonly #machines: readonly string[];
  readonly played: Played[] = [];

  static async open(machines: readonly string[], io: Io): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), "p2prc-demo-")), machines, io);
  }

  private constructor(folder: string, machines: readonly string[], io: Io) {
    this.folder = folder;
    this.#machines = machines;
    this.#io = io;
  }

  homeOf(machine: string): string {
    return join(this.folder, machine);
  }

  /** Types the command, shows what comes of it. @returns what it printed @throws {Failure} when it fails */
  async play(scene: Scene): Promise<string> {
    const typed = [scene.program ?? "p2prc", ...(scene.shown ?? scene.words)].map(forShell).join(" ");
    this.#io.out(`${scene.on}$ ${typed}`, "bold");
    const { exit, out } = await this.run(scene, (line) => this.#show(line));
    this.#io.out("");
    this.played.push({ ...scene, exit, out });
    if (exit === 0) return out;
    throw new Failure("daemon-failed", `\`${typed}\` on ${scene.on} ended with exit code ${exit}`, {
      hint: "what it said stands above",
    });
  }

  /** The same behind the scenes. */
  async run({ on, words, program }: Scene, show: (line: string) => void = () => undefined): Promise<Spoken> {
    const { machine, signal, clock } = this.#io;
    const late = () => new Failure("timed-out", `\`${program ?? "p2prc"} ${words.join(" ")}\` takes too long`);
    const speak = (waiting: AbortSignal) => {
      const env = {
        NODE_COMPILE_CACHE: join(this.folder, "cache"), // unless the launcher keeps one
        ...withoutOwn(machine.environment),
        P2PRC_HOME: this.homeOf(on),
        NO_COLOR: "1",
      };
      const [file, args] = program === undefined ? [machine.node, [machine.bin, ...words]] : [program, words];
      const child = spawn(file, args, {
        cwd: this.folder,
        env,
        stdio: ["ignore", "pipe", "pipe"],
        signal: waiting,
      });
      return listen(child, show);
    };
    return await within({ clock, timeoutMs: SCENE_MS, late }, speak, signal);
  }

  /** Without what is said on the way, and without what a play's machines are warned of: they are not this person's. */
  #show(line: string): void {
    if (line === "starting the daemon" || line.startsWith("warning: ")) return;
    this.#io.out(line);
  }

  /** Ctrl-C may have been pressed already, so this has a signal of its own; `stopDaemon` has its bounds. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { signal } = new AbortController();
    const stopped = await Promise.allSettled(this.#machines.map((machine) => this.#clear(machine, signal)));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    for (const one of stopped) if (one.status === "rejected") throw one.reason;
  }

  /** Sandboxes outlive their daemon: where the play broke off, they are ended first. */
  async #clear(machine: string, signal: AbortSignal): Promise<void> {
    const place = { home: this.homeOf(machine), clock: this.#io.clock };
    const running = await connect(place, signal);
    if (running === undefined) return;
    const { client } = running;
    const { sandboxes } = await client.guests(signal);
    for (const { sandbox } of sandboxes) await client.kickGuest(sandbox.id, signal);
    await client[Symbol.asyncDispose]();
    await stopDaemon(place, signal);
  }
}

async function listen(child: ChildProcess, show: (line: string) => void): Promise<Spoken> {
  const ended = once(child, "close");
  const [out] = await Promise.all([linesOf(child.stdout, show), linesOf(child.stderr, show), ended]);
  const [code] = await ended;
  return { exit: typeof code === "number" ? code : 1, out: out.join("\n") };
}

async function linesOf(stream: Readable | null, show: (line: string) => void): Promise<string[]> {
  const lines: string[] = [];
  if (stream === null) return lines;
  for await (const line of createInterface({ input: stream })) {
    lines.push(line);
    show(line);
  }
  return lines;
}

/** What this person chose for their own node is not for those of the play. */
function withoutOwn(environment: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  return Object.fromEntries(Object.entries(environment).filter(([name]) => !name.startsWith("P2PRC_")));
}

/** As a person would type it. */
function forShell(word: string): string {
  return /^[\w./:@%+=,[\]…~-]+$/u.test(word) ? word : `'${word}'`;
}
