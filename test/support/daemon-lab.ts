/**
 * Whole daemons in this process, on loopback, each with a home of its own: as real as they are, but for
 * the process.
 */

import { cp, mkdtemp, rm } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pid, platform } from "node:process";
import { json, text } from "node:stream/consumers";
import { type Clock, systemClock, systemRandom } from "../../src/base/index.ts";
import type { Config } from "../../src/config/index.ts";
import { Daemon } from "../../src/daemon/daemon.ts";
import { LogFile } from "../../src/daemon/log-file.ts";
import { pinoLog } from "../../src/daemon/pino-log.ts";
import type { TunnelKind } from "../../src/daemon/tunnels.ts";
import type { RuntimeCandidate } from "../../src/sandbox/index.ts";
import { openHome } from "../../src/store/index.ts";

export interface LabDaemonOptions {
  readonly config?: Config;
  readonly clock?: Clock;
  readonly tunnels?: readonly TunnelKind[];
  /** What makes sandboxes. @default nothing */
  readonly runtimes?: readonly RuntimeCandidate[];
}

/** Loopback only, heard by nobody else, and lending. */
const config: Config = { listen: ["127.0.0.1"], port: 0, allowNetworks: ["127.0.0.0/8"], lan: false, lends: true };

const never = new AbortController().signal;

export class DaemonLab implements AsyncDisposable {
  /** Where the homes lie. */
  readonly folder: string;
  readonly #open = new Map<string, LabDaemon>();

  /** @param below where the homes lie */
  static async open(below = tmpdir()): Promise<DaemonLab> {
    return new DaemonLab(await mkdtemp(join(below, "p2prc-daemons-")));
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  async start(name: string, options: LabDaemonOptions = {}): Promise<LabDaemon> {
    const home = await openHome(this.#homeOf(name), {
      platform,
      uid: process.getuid?.(),
      runtimeFolder: undefined,
      tempFolder: tmpdir(),
    });
    const logFile = new LogFile(home.log);
    const stopped = Promise.withResolvers<void>();
    const world = {
      home,
      config: { ...config, name, ...options.config },
      pid,
      clock: options.clock ?? systemClock,
      random: systemRandom,
      log: pinoLog(logFile, "debug"),
      logFile,
      stop: stopped.resolve,
      tunnels: options.tunnels ?? [],
      runtimes: options.runtimes ?? [],
    };
    const daemon = new LabDaemon(await Daemon.open(world, never), logFile, stopped.promise);
    this.#open.set(name, daemon);
    return daemon;
  }

  async stop(name: string): Promise<void> {
    await this.#open.get(name)?.close();
    this.#open.delete(name);
  }

  /** Both have to be stopped. */
  async copyHome(from: string, to: string): Promise<void> {
    await rm(this.#homeOf(to), { recursive: true, force: true });
    await cp(this.#homeOf(from), this.#homeOf(to), { recursive: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#open.values(), (daemon) => daemon.close()));
    await rm(this.folder, { recursive: true, force: true, maxRetries: 5 });
  }

  #homeOf(name: string): string {
    return join(this.folder, name);
  }
}

export class LabDaemon {
  readonly daemon: Daemon;
  /** Resolves when somebody asked for its end. */
  readonly stopped: Promise<void>;
  readonly #logFile: LogFile;

  constructor(daemon: Daemon, logFile: LogFile, stopped: Promise<void>) {
    this.daemon = daemon;
    this.#logFile = logFile;
    this.stopped = stopped;
  }

  get id() {
    return this.daemon.parts.identity.id;
  }

  /** The loopback address that it listens on. */
  get endpoint() {
    const [endpoint] = this.daemon.parts.lending.endpoints;
    if (endpoint === undefined) throw new Error("it does not listen");
    return endpoint;
  }

  get address(): string {
    return `${this.endpoint.host}:${this.endpoint.port}`;
  }

  /** As its own person asks, on the socket in the home. @throws what it answers, when that is an error */
  async ask<T>(method: "GET" | "POST" | "PUT" | "DELETE" | "PATCH", path: string, body?: unknown): Promise<T> {
    const { status, reply } = await this.#ask({ method, path, body });
    const value = JSON.parse(await text(reply).then((said) => said.trim().split("\n").at(-1) ?? "")) as T;
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(value)}`);
    return value;
  }

  async statusOf(
    method: string,
    path: string,
    said?: unknown,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const { status, reply } = await this.#ask({ method, path, body: said });
    return { status, body: await json(reply) };
  }

  async logLines(): Promise<readonly string[]> {
    return await this.#logFile.tail(1_000);
  }

  async warnings(): Promise<readonly string[]> {
    return (await this.ask<{ warnings: readonly string[] }>("GET", "/v1/status")).warnings;
  }

  /** Becomes a friend of `issuer`, by an invite. */
  async join(issuer: LabDaemon): Promise<void> {
    const { link } = await issuer.ask<{ link: string }>("POST", "/v1/invites", {});
    await this.ask("POST", "/v1/join", { invite: link });
  }

  async close(): Promise<void> {
    await this.daemon[Symbol.asyncDispose]();
    this.#logFile[Symbol.dispose]();
  }

  #ask({ method, path, body }: { readonly method: string; readonly path: string; readonly body: unknown }) {
    const socketPath = this.daemon.parts.home.socket;
    const said = body === undefined ? undefined : JSON.stringify(body);
    const headers = said === undefined ? {} : { "content-type": "application/json" };
    return new Promise<{ status: number; reply: NodeJS.ReadableStream }>((resolve, reject) => {
      const asking = request({ socketPath, method, path, headers, agent: false }, (reply) =>
        resolve({ status: reply.statusCode ?? 0, reply }),
      );
      asking.on("error", reject).end(said);
    });
  }
}
