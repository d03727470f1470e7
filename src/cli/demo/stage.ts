/**
 * The stage of the demo: machines that are folders, on which the real program is run as its own
 * process, with every word it says shown as a person would see it. Leaving the stage ends every
 * daemon that was started and removes every folder, however the play went.
 */

import { spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { within } from "../../base/index.ts";
import { stopDaemon } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import type { Io } from "../io.ts";

export interface Scene {
  /** The machine on which it is typed. */
  readonly on: string;
  readonly words: readonly string[];
  /** What is shown in the place of long words, such as a link. */
  readonly shown?: readonly string[];
}

export interface Played extends Scene {
  readonly exit: number;
  readonly out: string;
}

/** Long enough for a test of speed on a slow machine. */
const SCENE_MS = 60_000;

export class Stage implements AsyncDisposable {
  readonly #io: Io;
  readonly #folder: string;
  readonly #machines: readonly string[];
  readonly played: Played[] = [];

  static async open(machines: readonly string[], io: Io): Promise<Stage> {
    return new Stage(await mkdtemp(join(tmpdir(), "p2prc-demo-")), machines, io);
  }

  private constructor(folder: string, machines: readonly string[], io: Io) {
    this.#folder = folder;
    this.#machines = machines;
    this.#io = io;
  }

  homeOf(machine: string): string {
    return join(this.#folder, machine);
  }

  /** Types the command, shows what comes of it. @returns what it printed @throws {Failure} when it fails */
  async play(scene: Scene): Promise<string> {
    const typed = ["p2prc", ...(scene.shown ?? scene.words)].map(forShell).join(" ");
    this.#io.out(`${scene.on}$ ${typed}`, "bold");
    const { exit, out } = await this.run(scene, (text) => this.#io.out(text.replace(/\n$/, "")));
    this.played.push({ ...scene, exit, out });
    if (exit !== 0)
      throw new Failure("daemon-failed", `\`${typed}\` on ${scene.on} ended with exit code ${exit}`, {
        hint: "what it said stands above",
      });
    return out;
  }

  /** The same behind the scenes. */
  async run(
    { on, words }: Scene,
    show: (text: string) => void = () => undefined,
  ): Promise<{ readonly exit: number; readonly out: string }> {
    const { machine, signal, clock } = this.#io;
    const late = () => new Failure("timed-out", `\`p2prc ${words.join(" ")}\` takes too long`);
    return await within(
      { clock, timeoutMs: SCENE_MS, late },
      (waiting) => {
        const { P2PRC_HOME: _, ...environment } = machine.environment;
        const child = spawn(machine.node, [machine.bin, ...words], {
          env: { ...environment, P2PRC_HOME: this.homeOf(on), NO_COLOR: "1" },
          stdio: ["ignore", "pipe", "pipe"],
          signal: waiting,
        });
        return watch(child, show);
      },
      signal,
    );
  }

  /** Ctrl-C may have been pressed already, so this has a signal of its own; `stopDaemon` has its bounds. */
  async [Symbol.asyncDispose](): Promise<void> {
    const { signal } = new AbortController();
    const stopped = await Promise.allSettled(
      this.#machines.map((machine) => stopDaemon({ home: this.homeOf(machine), clock: this.#io.clock }, signal)),
    );
    await rm(this.#folder, { recursive: true, force: true, maxRetries: 5 });
    for (const one of stopped) if (one.status === "rejected") throw one.reason;
  }
}

function watch(child: ReturnType<typeof spawn>, show: (text: string) => void): Promise<{ exit: number; out: string }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ exit: number; out: string }>();
  let out = "";
  child.stdout?.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    show(text);
  });
  child.stderr?.setEncoding("utf8").on("data", show);
  child.once("error", reject);
  child.once("close", (code) => resolve({ exit: code ?? 1, out }));
  return promise;
}

/** As a person would type it. */
function forShell(word: string): string {
  return /^[\w./:@%+=,[\]…-]+$/u.test(word) ? word : `'${word}'`;
}
