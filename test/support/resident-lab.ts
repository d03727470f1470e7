/** A resident as a plain child process, without walls, and the outer end of its stream. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/index.ts";
import { Inside } from "../../src/sandbox/inside/inside.ts";
import { encodeFrame, type FrameKind, FrameReader } from "../../src/sandbox/resident/frames.ts";
import type { ExecEnd, ExecStart } from "../../src/sandbox/resident/protocol.ts";

const MAIN = fileURLToPath(new URL("../../src/sandbox/resident/main.ts", import.meta.url));

export class ResidentLab implements AsyncDisposable {
  readonly folder: string;
  readonly process: ChildProcess;
  readonly inside: Inside;
  readonly #below: Duplex;

  static async open(how: "socket" | "stdio" = "socket", extra: readonly string[] = []): Promise<ResidentLab> {
    const folder = await mkdtemp(join(tmpdir(), "p2prc-resident-"));
    const socket = join(folder, "resident.sock");
    const how_ = how === "socket" ? ["--socket", socket] : ["--stdio"];
    const child = spawn(process.execPath, [MAIN, ...how_, "--folder", join(folder, "run"), ...extra], {
      stdio: [how === "socket" ? "ignore" : "pipe", how === "socket" ? "ignore" : "pipe", "inherit"],
      env: { PATH: process.env["PATH"], SECRET: "of the resident alone" },
    });
    await once(child, "spawn");
    const below = how === "socket" ? await dialSoon(socket) : joined(child);
    const inside = await Inside.open(below, { clock: systemClock }, new AbortController().signal);
    return new ResidentLab(folder, child, { inside, below });
  }

  private constructor(folder: string, child: ChildProcess, { inside, below }: { inside: Inside; below: Duplex }) {
    this.folder = folder;
    this.process = child;
    this.inside = inside;
    this.#below = below;
  }

  /** As a network that goes away: no word of farewell. */
  cut(): void {
    this.#below.destroy();
  }

  async exec(argv: readonly string[], more: Partial<ExecStart> = {}): Promise<Exec> {
    return new Exec(await this.inside.exec({ argv, env: {}, ...more }, new AbortController().signal));
  }

  /** Runs it to its end. */
  async run(argv: readonly string[], more: Partial<ExecStart> = {}, input: Uint8Array | string = ""): Promise<Ran> {
    const exec = await this.exec(argv, more);
    exec.send("stdin", input);
    exec.send("stdinEnd");
    return await exec.ended();
  }

  /** What the resident process occupies now. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.process.pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/mu.exec(status)?.[1]) * 1024;
  }

  /** What an exec might leave in it: open files, and children, dead ones too. */
  async leftovers(): Promise<{ readonly files: number; readonly children: string }> {
    const pid = this.process.pid;
    const files = (await readdir(`/proc/${pid}/fd`)).length;
    return { files, children: await readFile(`/proc/${pid}/task/${pid}/children`, "utf8") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.inside[Symbol.asyncDispose]();
    if (this.process.exitCode === null && this.process.signalCode === null) {
      this.process.kill("SIGKILL");
      await once(this.process, "exit");
    }
    await rm(this.folder, { recursive: true, force: true });
  }
}

export interface Ran {
  readonly stdout: string;
  readonly stderr: string;
  readonly end: ExecEnd | undefined;
}

/** The frames of one exec, gathered. */
export class Exec {
  readonly stream: Duplex;
  readonly #reader = new FrameReader();
  readonly #texts = { stdout: "", stderr: "" };
  readonly #watchers = new Set<() => void>();
  #end: ExecEnd | undefined;
  #closed = false;

  constructor(stream: Duplex) {
    this.stream = stream;
    stream.on("data", (bytes: Buffer) => this.#take(bytes));
    stream.on("error", () => {});
    stream.once("close", () => {
      this.#closed = true;
      this.#wake();
    });
  }

  send(kind: FrameKind, content: Uint8Array | string = ""): boolean {
    return this.stream.write(encodeFrame(kind, content));
  }

  get text(): string {
    return this.#texts.stdout;
  }

  /** Resolves when what came on stdout holds `text`. */
  async said(text: string): Promise<void> {
    while (!this.#texts.stdout.includes(text)) {
      if (this.#closed) throw new Error(`ended without "${text}": ${JSON.stringify(this.#texts)}`);
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  async ended(): Promise<Ran> {
    while (!this.#closed) await new Promise<void>((resolve) => this.#watchers.add(resolve));
    return { ...this.#texts, end: this.#end };
  }

  #take(bytes: Buffer): void {
    for (const { kind, content } of this.#reader.take(bytes)) {
      if (kind === "stdout" || kind === "stderr") this.#texts[kind] += content.toString("latin1");
      else if (kind === "end") {
        this.#end = JSON.parse(content.toString()) as ExecEnd;
        this.stream.end();
      }
    }
    this.#wake();
  }

  #wake(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

async function dialSoon(path: string): Promise<Socket> {
  for (let tries = 0; tries < 500; tries++) {
    if (existsSync(path)) {
      const socket = connect(path);
      const up = await new Promise<boolean>((resolve) => {
        socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
      });
      if (up) return socket;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("the resident does not listen");
}

function joined({ stdin, stdout }: ChildProcess): Duplex {
  if (stdin === null || stdout === null) throw new Error("no pipes");
  return Duplex.from({ readable: stdout, writable: stdin });
}
