/** A worker of a job in a sandbox, as a command that the daemon passes bytes to and from. */

import type { Client, Exec } from "../../client/index.ts";
import type { Channel } from "../../job/index.ts";
import type { ExecEnd } from "../../sandbox/light.ts";

/** Of what it says on stderr. */
const MAX_WORDS_BYTES = 2_048;

/** @throws {Failure} as `client.exec` does */
export async function openChannel(
  client: Client,
  { box, argv }: { readonly box: string; readonly argv: readonly string[] },
  signal: AbortSignal,
): Promise<Channel> {
  return new ExecChannel(await client.exec(box, { argv, env: {} }, signal));
}

class ExecChannel implements Channel {
  readonly #exec: Exec;
  #words = Buffer.alloc(0);
  #end: ExecEnd | undefined;

  constructor(exec: Exec) {
    this.#exec = exec;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#exec.send("stdin", bytes);
  }

  get output(): AsyncIterable<Uint8Array> {
    return this.#output();
  }

  async *#output(): AsyncGenerator<Uint8Array> {
    for await (const { kind, content } of this.#exec.frames()) {
      if (kind === "stdout") yield content;
      else if (kind === "stderr") this.#words = Buffer.concat([this.#words, content]).subarray(-MAX_WORDS_BYTES);
      else if (kind === "end") this.#end = JSON.parse(content.toString()) as ExecEnd;
    }
  }

  lastWords(): string {
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
    await this.#exec[Symbol.asyncDispose]();
  }
}
