/** A sandbox as the command line meets it: how the daemon describes it, and an inside that says what a test wants. */

import { EventEmitter } from "node:events";
import { duplexPair, type Duplex, PassThrough, type Writable } from "node:stream";
import type { Box, Sandbox } from "../../src/sandbox/index.ts";
import { encodeFrame, type Frame, FrameReader } from "../../src/sandbox/light.ts";
import { type Answer, CliLab, type LabOptions, type Routes } from "./cli-lab.ts";

export const GIB = 1024 ** 3;
/** As the lab's clock begins. */
export const NOW = Date.UTC(2026, 0, 1);
export const sandbox = {
  ...{ id: "aaaabbbbccccdddd", name: "box", guest: "y".repeat(52), state: "running", runtime: "docker" },
  ...{
    image: "debian:bookworm",
    profile: "dev",
    cpus: 2,
    memoryBytes: 4 * GIB,
    diskBytes: 10 * GIB,
    network: "internet",
  },
  ...{ gpus: [], ports: 1, made: NOW, expires: NOW + 8 * 3_600_000, user: "root", hostKey: "ssh-ed25519 AAAA" },
} as unknown as Sandbox;
const ports = [{ internal: 40_001, host: "127.0.0.1", local: 40_001 }];
export const box = {
  node: { id: "n", name: "attic" },
  sandbox,
  reach: "known",
  ports,
  sshPort: 40_755,
} as unknown as Box;
export const touched: Answer = {
  steps: [{ progress: { node: "attic", create: { step: "pulling", image: "debian:bookworm" } } }, { result: box }],
};

type Said = readonly [Frame["kind"], unknown];

/** The inside of a sandbox: notes what it is told, says what the test says. */
export class Inside {
  readonly #near: Duplex;
  readonly far: Duplex;
  readonly stderr = new PassThrough();
  readonly #frames: Frame[] = [];
  readonly #news = new EventEmitter();
  readonly #routes: Routes;
  target = "";
  does: (() => readonly Said[]) | undefined;

  constructor(routes: Routes = {}) {
    this.#routes = routes;
    [this.#near, this.far] = duplexPair();
    const reader = new FrameReader();
    this.far.on("data", (bytes: Buffer) => {
      for (const frame of reader.take(bytes)) {
        this.#frames.push(frame);
        this.#news.emit("news");
        if (frame.kind === "start") for (const [kind, content] of this.does?.() ?? []) this.say(kind, content);
      }
    });
  }

  lab(streams: { stdin?: PassThrough; stdout?: Writable } = {}): CliLab {
    const options: LabOptions = {
      routes: this.#routes,
      connect: (target) => {
        this.target = target;
        return this.#near;
      },
    };
    if (streams.stdin === undefined && streams.stdout === undefined) return new CliLab(options);
    const { stdin = new PassThrough(), stdout = new PassThrough() } = streams;
    return new CliLab({
      ...options,
      streams: {
        stdin,
        stdout,
        stderr: this.stderr,
        setRaw: async (raw) => void (stdin instanceof FakeTerminal && stdin.setRawMode(raw)),
      },
    });
  }

  say(kind: Frame["kind"], content: unknown): void {
    this.far.write(encodeFrame(kind, typeof content === "string" ? content : JSON.stringify(content)));
    if (kind === "end") this.far.end();
  }

  async until(kind: Frame["kind"]): Promise<void> {
    while (!this.#frames.some((frame) => frame.kind === kind))
      await new Promise((resolve) => this.#news.once("news", resolve));
  }

  last(kind: Frame["kind"]): string {
    return String(this.#frames.findLast((frame) => frame.kind === kind)?.content);
  }

  get start(): Record<string, unknown> | undefined {
    const [first] = this.#frames;
    return first === undefined ? undefined : (JSON.parse(String(first.content)) as Record<string, unknown>);
  }

  get input(): Buffer {
    return Buffer.concat(this.#frames.filter(({ kind }) => kind === "stdin").map(({ content }) => content));
  }
}

export class FakeTerminal extends PassThrough {
  readonly isTTY = true;
  raw = false;

  setRawMode(raw: boolean): void {
    this.raw = raw;
  }
}

export class FakeScreen extends PassThrough {
  readonly isTTY = true;
  columns = 100;
  rows = 30;
}
