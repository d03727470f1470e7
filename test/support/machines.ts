/**
 * Machines on this one: each a home of its own, on which `p2prc` is run as a process of its own. They
 * talk over loopback. Whatever still runs at the end is ended.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { stopDaemon } from "../../src/client/index.ts";

export interface Said {
  readonly exit: number;
  /** stdout and stderr, as they came. */
  readonly lines: readonly string[];
}

const BIN = join(import.meta.dirname, "../../src/cli/bin.ts");
/** Far more than any command takes; a hanging one fails its test instead of the whole run. */
const MAX_MS = 60_000;
/** As long as a whole file of tests may take. */
const MAX_RUNNING_MS = 300_000;

export class Machines implements AsyncDisposable {
  readonly folder: string;
  readonly #names = new Set<string>();
  readonly #more: Readonly<Record<string, string>>;
  readonly #running = new Map<string, Running>();

  /** @param environment more of it, for all */
  static async open(environment: Readonly<Record<string, string>> = {}): Promise<Machines> {
    return new Machines(await mkdtemp(join(tmpdir(), "p2prc-machines-")), environment);
  }

  private constructor(folder: string, environment: Readonly<Record<string, string>>) {
    this.folder = folder;
    this.#more = environment;
  }

  homeOf(machine: string): string {
    return join(this.folder, machine, ".p2prc");
  }

  async run(machine: string, words: readonly string[]): Promise<Said> {
    return await (await this.start(machine, words)).ended;
  }

  /** Leaves it running. @returns it, to read what it says */
  async leaveRunning(machine: string, words: readonly string[]): Promise<Running> {
    const running = await this.start(machine, words, { maxMs: MAX_RUNNING_MS });
    this.#running.set(machine, running);
    return running;
  }

  /** Ctrl-C. @returns what it has said in all */
  async interrupt(machine: string): Promise<Said> {
    const running = this.#running.get(machine);
    if (running === undefined) throw new Error(`nothing runs on ${machine}`);
    running.child.kill("SIGINT");
    this.#running.delete(machine);
    return await running.ended;
  }

  async start(machine: string, words: readonly string[], { maxMs = MAX_MS } = {}): Promise<Running> {
    this.#names.add(machine);
    const userFolder = join(this.folder, machine);
    await mkdir(userFolder, { recursive: true });
    const child = spawn(process.execPath, [BIN, ...words], {
      env: this.#environment(userFolder),
      stdio: ["ignore", "pipe", "pipe"],
    });
    return new Running(child, maxMs);
  }

  /** No P2PRC_… of the person who runs the tests, and nothing that leaves this machine. */
  #environment(userFolder: string): Record<string, string> {
    return {
      PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter),
      HOME: userFolder,
      TZ: "UTC",
      TMPDIR: this.folder,
      NODE_COMPILE_CACHE: process.env["NODE_COMPILE_CACHE"] ?? join(this.folder, "cache"), // `./check` keeps one for all
      P2PRC_HOME: join(userFolder, ".p2prc"),
      P2PRC_LISTEN: "127.0.0.1",
      P2PRC_PORT: "0",
      P2PRC_ALLOW_NETWORKS: "127.0.0.0/8",
      P2PRC_LAN: "no",
      ...this.#more,
    };
  }

  /** They outlive their daemon, whoever killed it. */
  async #endSandboxes(machine: string): Promise<void> {
    if (!existsSync(join(this.homeOf(machine), "sandboxes"))) return;
    const { exit, lines } = await this.run(machine, ["ps", "--guests", "--json"]);
    const text = lines.find((line) => line.startsWith("{"));
    if (exit !== 0 || text === undefined) return;
    for (const { sandbox } of (JSON.parse(text) as Guests).sandboxes) await this.run(machine, ["kick", sandbox.id]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { child, ended } of this.#running.values()) {
      child.kill("SIGKILL");
      await ended;
    }
    const { signal } = new AbortController();
    await Promise.all([...this.#names].map((machine) => this.#endSandboxes(machine)));
    const homes = [...this.#names].map((machine) => this.homeOf(machine));
    const stopped = await Promise.allSettled(homes.map((home) => stopDaemon({ home }, signal)));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
    for (const one of stopped) if (one.status === "rejected") throw one.reason;
  }
}

/** What `p2prc ps --guests --json` prints, as far as it matters here. */
interface Guests {
  readonly sandboxes: readonly { readonly sandbox: { readonly id: string } }[];
}

export class Running {
  readonly child: ChildProcess;
  readonly ended: Promise<Said>;
  #text = "";

  constructor(child: ChildProcess, maxMs: number) {
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#text += text;
        child.emit("said");
      });
    }
    const timer = setTimeout(() => child.kill("SIGKILL"), maxMs);
    this.ended = once(child, "close").then(([code]) => {
      clearTimeout(timer);
      return { exit: typeof code === "number" ? code : -1, lines: this.lines };
    });
  }

  get lines(): readonly string[] {
    return this.#text === "" ? [] : this.#text.replace(/\n$/, "").split("\n");
  }

  /** Resolves once `isEnough`, or when it has ended. */
  async until(isEnough: (lines: readonly string[]) => boolean): Promise<readonly string[]> {
    while (!isEnough(this.lines) && this.child.exitCode === null && this.child.signalCode === null) {
      await Promise.race([once(this.child, "said"), this.ended]);
    }
    return this.lines;
  }
}
