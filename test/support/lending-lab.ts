/**
 * Two machines: attic lends, by what this machine has for it, and barn is a guest there; more may lend to it. Each runs `p2prc` as
 * processes.
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { Machines } from "./machines.ts";

const BIN = join(import.meta.dirname, "../../src/cli/bin.ts");

export interface LendingLabOptions {
  /** How attic invites barn. @default as its own */
  readonly invite?: readonly string[];
  /** More words of `p2prc serve`. */
  readonly serve?: readonly string[];
  /** More of the environment of both. */
  readonly environment?: Readonly<Record<string, string>>;
}

export class LendingLab implements AsyncDisposable {
  readonly machines: Machines;
  /** On which attic listens. */
  readonly port: number;
  readonly #options: LendingLabOptions;

  static async open(options: LendingLabOptions = {}): Promise<LendingLab> {
    const lab = new LendingLab(await Machines.open(options.environment), await freePort(), options);
    try {
      await lab.#befriend();
      return lab;
    } catch (error) {
      await lab.machines[Symbol.asyncDispose](); // there is no sandbox yet
      throw error;
    }
  }

  private constructor(machines: Machines, port: number, options: LendingLabOptions) {
    this.machines = machines;
    this.port = port;
    this.#options = options;
  }

  async #befriend(): Promise<void> {
    await this.startAttic();
    await this.#join("attic");
  }

  async #join(lender: string): Promise<void> {
    const invited = await this.machines.run(lender, ["invite", "--json", ...(this.#options.invite ?? ["--own"])]);
    const { link } = JSON.parse(invited.lines.find((line) => line.startsWith("{")) ?? "") as { link: string };
    const joined = await this.barn("join", link);
    assert.equal(joined.exit, 0, joined.lines.join("\n"));
  }

  /** One more who lends to barn. */
  async lender(name: string): Promise<{ readonly start: () => Promise<void>; readonly kill: () => Promise<void> }> {
    const port = await freePort();
    const start = () => this.#start(name, port);
    await start();
    await this.#join(name);
    return { start, kill: () => this.#kill(name) };
  }

  attic(...words: string[]) {
    return this.machines.run("attic", words);
  }

  barn(...words: string[]) {
    return this.machines.run("barn", words);
  }

  async startAttic(): Promise<void> {
    await this.#start("attic", this.port);
  }

  /** As when its power fails. Sandboxes that need no daemon live on. */
  async killAttic(): Promise<void> {
    await this.#kill("attic");
  }

  async #start(lender: string, port: number): Promise<void> {
    const words = ["serve", "--name", lender, "--port", String(port), ...(this.#options.serve ?? [])];
    const running = await this.machines.leaveRunning(lender, words);
    const lines = await running.until((said) => said.some((line) => line.startsWith("listening on ")));
    assert.ok(
      lines.some((line) => line.startsWith("listening on ")),
      lines.join("\n"),
    );
  }

  async #kill(lender: string): Promise<void> {
    const { lines } = await this.machines.run(lender, ["status", "--json"]);
    const { pid } = JSON.parse(lines.find((line) => line.startsWith("{")) ?? "") as { pid: number };
    process.kill(pid, "SIGKILL");
  }

  /** A command on barn with its streams as they are. */
  async bytes(words: readonly string[], input: Uint8Array = Buffer.alloc(0)) {
    const child = spawn(process.execPath, [BIN, ...words], {
      env: { ...process.env, P2PRC_HOME: this.machines.homeOf("barn") },
      stdio: ["pipe", "pipe", "pipe"],
    });
    child.stdin.on("error", () => undefined); // it may have ended
    child.stdin.end(input);
    const [stdout, stderr, [code]] = await Promise.all([
      buffer(child.stdout),
      buffer(child.stderr),
      once(child, "close") as Promise<[number]>,
    ]);
    return { exit: code, stdout, stderr };
  }

  /** Names of what barn holds. */
  async held(): Promise<readonly string[]> {
    const { lines } = await this.barn("ps", "--json");
    const { boxes } = JSON.parse(lines.find((line) => line.startsWith("{")) ?? "") as {
      boxes: { sandbox: { name: string } }[];
    };
    return boxes.map(({ sandbox }) => sandbox.name);
  }

  /** Names of what attic's guests have. */
  async lent(): Promise<readonly string[]> {
    const { lines } = await this.attic("ps", "--guests", "--json");
    const { sandboxes } = JSON.parse(lines.find((line) => line.startsWith("{")) ?? "") as {
      sandboxes: { sandbox: { name: string } }[];
    };
    return sandboxes.map(({ sandbox }) => sandbox.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of await this.held()) await this.barn("rm", name);
    await this.machines[Symbol.asyncDispose]();
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

/** Real nodes take real time: at most a minute of it. */
export async function untilTrue(isTrue: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 120; tries++) {
    if (await isTrue()) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  assert.fail("it has not come about within a minute");
}
