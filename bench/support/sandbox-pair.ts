/**
 * Two daemons of the real program on loopback, each a process with a home of its own: one lends, the other is its guest.
 * What is asked goes the way a person's command goes: the local socket of the guest, the link, the owner.
 */

import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Client, openClient } from "../../src/client/index.ts";
import type { Box, TouchRequest } from "../../src/sandbox/index.ts";
import { Home } from "./home.ts";

export const LAUNCHER = join(import.meta.dirname, "../../p2prc");
const LOOPBACK = ["--listen", "127.0.0.1", "--port", "0", "--allow-network", "127.0.0.0/8", "--no-lan"];
const never = new AbortController().signal;

export interface PairOptions {
  /** Which runtime the owner's node takes. */
  readonly runtime: "bubblewrap" | "docker";
  /** Beside what this process has, for the owner's daemon. */
  readonly environment?: Readonly<Record<string, string>>;
}

export class SandboxPair implements AsyncDisposable {
  readonly client: Client;
  readonly guestHome: string;
  readonly ownerHome: string;
  readonly #homes: AsyncDisposableStack;

  static async open({ runtime, environment }: PairOptions): Promise<SandboxPair> {
    await using opening = new AsyncDisposableStack();
    const owner = opening.use(await Home.open()).path;
    const guest = opening.use(await Home.open()).path;
    for (const home of [owner, guest]) opening.defer(() => p2prc(home, ["stop"]).then(() => undefined));
    await p2prc(owner, ["serve", "--detach", ...LOOPBACK, "--name", "attic"], {
      ...environment,
      P2PRC_RUNTIME: runtime,
    });
    const invite = await p2prc(owner, ["invite", "--own", "--no-qr", "--json"]);
    await p2prc(guest, ["serve", "--detach", ...LOOPBACK, "--name", "desk"]);
    await p2prc(guest, ["join", (JSON.parse(invite) as { readonly link: string }).link]);
    const client = opening.use(await openClient({ home: guest, start: false }, never));
    return new SandboxPair(client, { guest, owner, homes: opening.move() });
  }

  private constructor(
    client: Client,
    { guest, owner, homes }: { readonly guest: string; readonly owner: string; readonly homes: AsyncDisposableStack },
  ) {
    this.client = client;
    this.guestHome = guest;
    this.ownerHome = owner;
    this.#homes = homes;
  }

  async touch(wish: TouchRequest = {}): Promise<Box> {
    for await (const step of this.client.touch({ node: "attic", ...wish }, never)) {
      if ("result" in step) return step.result;
    }
    throw new Error("the daemon never said what came of it");
  }

  /** @returns what comes first from a shell in a terminal */
  async firstPromptByte(box: string): Promise<void> {
    const terminal = { columns: 80, rows: 24, type: "xterm" };
    await using exec = await this.client.exec(box, { argv: ["/bin/sh"], env: {}, terminal }, never);
    for await (const { kind } of exec.frames()) if (kind === "stdout") return;
    throw new Error("the shell ended without a prompt");
  }

  /** @returns when its end has come */
  async exec(box: string, ...argv: readonly string[]): Promise<void> {
    await using exec = await this.client.exec(box, { argv, env: {} }, never);
    await exec.send("stdinEnd");
    for await (const { kind, content } of exec.frames()) {
      if (kind !== "end") continue;
      const end = JSON.parse(Buffer.from(content).toString()) as { readonly code?: number };
      if (end.code !== 0) throw new Error(`it ended with ${Buffer.from(content).toString()}`);
      return;
    }
    throw new Error("it was cut off");
  }

  async remove(box: string): Promise<void> {
    await this.client.removeBox(box, never);
  }

  /** The process of the owner's daemon. */
  async ownerPid(): Promise<number> {
    return Number(await readFile(join(this.ownerHome, "pid"), "utf8"));
  }

  async guestPid(): Promise<number> {
    return Number(await readFile(join(this.guestHome, "pid"), "utf8"));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#homes.disposeAsync();
  }
}

const run = promisify(execFile);

export async function p2prc(
  home: string,
  words: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { stdout } = await run(LAUNCHER, ["--home", home, ...words], { env: { ...process.env, ...environment } });
  return stdout;
}
