/** A worker of a job in a sandbox, as a command that the daemon passes bytes to and from. */

import { type Clock, Scope } from "../../base/index.ts";
import type { Client, Exec } from "../../client/index.ts";
import { cleanText, Failure } from "../../core/light.ts";
import type { Channel } from "../../job/index.ts";
import type { ExecEnd } from "../../sandbox/light.ts";

/** Of what it says on stderr. */
const MAX_WORDS_BYTES = 2_048;

/** Nothing in a sandbox that is frozen answers, nor goes away: who hears nothing for so long asks how it is. */
const LOOK_EVERY_MS = 30_000;

export interface ChannelDeps {
  readonly client: Pick<Client, "exec" | "box">;
  readonly clock: Clock;
}

/** @throws {Failure} as `client.exec` does */
export async function openChannel(
  { client, clock }: ChannelDeps,
  { box, argv }: { readonly box: string; readonly argv: readonly string[] },
  signal: AbortSignal,
): Promise<Channel> {
  const channel = new ExecChannel(await client.exec(box, { argv, env: {} }, signal));
  channel.watch({ clock, look: (looking) => whyFrozen(client, box, looking) });
  return channel;
}

async function whyFrozen(client: Pick<Client, "box">, id: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const { state, reason = "nobody says why" } = (await client.box(id, signal)).sandbox;
    return state === "paused" ? cleanText(reason, 200) : undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return undefined; // where it is gone, that is heard without us
  }
}

interface Watch {
  readonly clock: Clock;
  /** Why it is frozen, if it is. */
  readonly look: (signal: AbortSignal) => Promise<string | undefined>;
}

class ExecChannel implements Channel {
  readonly #exec: Exec;
  readonly #watching = new Scope();
  #words = Buffer.alloc(0);
  #end: ExecEnd | undefined;
  #frozen: string | undefined;
  #quiet = false;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  /** Cuts it off where the sandbox is frozen: others can do what it was given. */
  watch({ clock, look }: Watch): void {
    this.#watching.spawn(async (signal) => {
      while (this.#frozen === undefined) {
        this.#quiet = true;
        await clock.sleep(LOOK_EVERY_MS, signal);
        if (this.#quiet) this.#frozen = await look(signal);
      }
      await this.#exec[Symbol.asyncDispose]();
    });
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#exec.send("stdin", bytes);
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#output();
  }

  async *#output(): AsyncGenerator<Uint8Array> {
    for await (const { kind, content } of this.#exec.frames()) {
      this.#quiet = false;
      if (kind === "stdout") yield content;
      else if (kind === "stderr") this.#words = Buffer.concat([this.#words, content]).subarray(-MAX_WORDS_BYTES);
      else if (kind === "end") this.#end = JSON.parse(content.toString()) as ExecEnd;
    }
  }

  lastWords(): string {
    if (this.#frozen !== undefined) return `the sandbox is frozen: ${this.#frozen}`;
    if (this.#end === undefined) return "";
    const { kind } = this.#end;
    if (kind === "refused") return `it could not be started: ${this.#end.reason}`;
    const how = kind === "exited" ? `exit code ${this.#end.code}` : this.#end.signal;
    const last = this.#words
      .toString("utf8")
      .trim()
      .split("\n")
      .findLast((line) => /error/iu.test(line));
    return last === undefined ? how : `${how}: ${last}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#watching.close();
    await this.#exec[Symbol.asyncDispose]();
  }
}
