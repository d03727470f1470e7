/**
 * Looks now and then at the sandbox that somebody works in, and says on stderr what they cannot see from inside: that its
 * time is nearly over, that it is frozen and why, that it goes on. Frozen, nothing in it answers, and a script waits for ever.
 */

import { isAbort } from "../base/index.ts";
import type { Client } from "../client/index.ts";
import { cleanText, Failure } from "../core/light.ts";
import type { Box } from "../sandbox/index.ts";
import { formatLeft } from "./boxes.ts";
import type { Io } from "./io.ts";

/** Most commands are over by then: nobody is asked for them. */
const FIRST_LOOK_MS = 5_000;
/** While nothing comes from the command. */
const QUIET_MS = 10_000;
/** A node warns in the last ten minutes; one that was extended meanwhile is looked at again. */
const LOOK_EVERY_MS = 2 * 60_000;

/** Undefined: the end is not near. */
export function endWarning({ sandbox }: Pick<Box, "sandbox">, now: number): string | undefined {
  if (sandbox.endsSoon !== true) return undefined;
  const { name, expires } = sandbox;
  return `${name} ends ${formatLeft(expires, now)}: \`p2prc extend ${name} 2h\` lets it live longer`;
}

export interface BoxWatchDeps {
  readonly client: Pick<Client, "box">;
  readonly box: string;
  /** Whether stderr is a terminal that is raw. */
  readonly terminal: boolean;
  readonly io: Pick<Io, "clock" | "streams">;
}

export class BoxWatch {
  readonly #deps: BoxWatchDeps;
  #heardAt: number;
  #frozen: string | undefined;
  #warned = false;

  constructor(deps: BoxWatchDeps) {
    this.#deps = deps;
    this.#heardAt = deps.io.clock.now();
  }

  /** Something came from there: it is not frozen. */
  heard(): void {
    this.#heardAt = this.#deps.io.clock.now();
  }

  /** Ends when `signal` aborts, too. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock } = this.#deps.io;
    try {
      await clock.sleep(FIRST_LOOK_MS, signal);
      for (let lookedAt: number | undefined; ; await clock.sleep(QUIET_MS, signal)) {
        const now = clock.now();
        const quiet = now - this.#heardAt >= FIRST_LOOK_MS;
        if (!quiet && lookedAt !== undefined && now - lookedAt < LOOK_EVERY_MS) continue;
        lookedAt = now;
        await this.look(signal);
      }
    } catch (error) {
      if (!isAbort(error, signal)) throw error;
    }
  }

  /** Says what is new. @returns why it is frozen */
  async look(signal: AbortSignal): Promise<string | undefined> {
    const { client, box, io } = this.#deps;
    try {
      const found = await client.box(box, signal);
      const { name, state, reason = "nobody says why" } = found.sandbox;
      const before = this.#frozen;
      this.#frozen = state === "paused" ? cleanText(reason, 200) : undefined;
      if (this.#frozen !== undefined && this.#frozen !== before)
        this.#say(`${name} is frozen: ${this.#frozen}. The command waits until it goes on`);
      if (this.#frozen === undefined && before !== undefined) this.#say(`${name} goes on`);
      const warning = endWarning(found, io.clock.wallTime());
      if (warning !== undefined && !this.#warned) this.#say(warning);
      this.#warned = warning !== undefined;
    } catch (error) {
      if (!(error instanceof Failure)) throw error; // whoever waits for the command hears of what is wrong
    }
    return this.#frozen;
  }

  #say(words: string): void {
    const { terminal, io } = this.#deps;
    io.streams.stderr.write(terminal ? `\r\np2prc: ${words}\r\n` : `p2prc: ${words}\n`);
  }
}
