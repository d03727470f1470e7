/**
 * All that a command may touch. `bin.ts` makes the real one; a test hands in fakes, and nothing
 * else reaches for `process`.
 */

import type { Readable, Writable } from "node:stream";
import type { Clock } from "../base/index.ts";
import type { Client } from "../client/index.ts";
import type { Machine } from "./machine.ts";

/** For a whole line: a style within one would need control characters in text that may be a stranger's. */
export type Style = "bold" | "dim" | "good" | "bad" | "warn";

export interface OpenOptions {
  readonly home: string;
  /** Given to the daemon where one has to be started. */
  readonly flags?: readonly string[];
  /** "start" one when none runs (@default), "restart" too when it is of another version, or "never". */
  readonly daemon?: "start" | "restart" | "never";
  /** Say nothing and ask nothing on the way. */
  readonly quiet?: boolean;
}

/** The three streams as they are, for what passes through a command: nothing is cleaned and nothing added. */
export interface Streams {
  readonly stdin: Readable & { readonly isTTY?: boolean | undefined };
  /** Emits "resize" where it is a terminal. */
  readonly stdout: Writable & {
    readonly isTTY?: boolean | undefined;
    readonly columns?: number | undefined;
    readonly rows?: number | undefined;
  };
  readonly stderr: Writable;
  /** Keys come one by one, Ctrl-C among them, and nothing is done to what is printed; or as before. For a terminal only. */
  setRaw(raw: boolean): Promise<void>;
}

export interface Io {
  /** Results, for people or (with --json) for programs. May hold several lines. */
  out(text: string, style?: Style): void;
  /** Words about the results: problems, hints, news. */
  err(text: string, style?: Style): void;
  /** How a long wait goes. Shown once it has taken over a second, and gone with the next line. */
  progress(text: string): void;
  /** Takes the line of progress off the screen, before something else is written there. */
  clear(): void;
  readonly streams: Streams;
  /** What the person answers, in one line. Undefined when nobody is there to ask. */
  ask(question: string): Promise<string | undefined>;
  /** Whether a person reads the results here. */
  readonly interactive: boolean;
  readonly columns: number;
  /** Aborts at Ctrl-C. The message of its reason is the name of the signal: SIGINT, SIGTERM, SIGHUP. */
  readonly signal: AbortSignal;
  /** Aborts at the second Ctrl-C, for who has something to do between the two. Where nobody asks for it, that one ends the program. */
  insisted(): AbortSignal;
  readonly clock: Clock;
  readonly machine: Machine;
  /**
   * The daemon of a home.
   * @throws {Failure} daemon-not-running, daemon-failed, version-differs, home-unusable
   */
  open(options: OpenOptions): Promise<Client>;
  /** Whether a daemon answers on this home. */
  isRunning(home: string): Promise<boolean>;
  /** Ends the daemon of a home, and waits until it is gone. Content when there is none. */
  stop(home: string): Promise<{ readonly name: string; readonly pid: number } | undefined>;
  /**
   * Is the daemon of a home, in this process, until Ctrl-C. `onReady` is called once it answers.
   * @throws {Failure} why it could not start: home-in-use, port-in-use, bad-config, …
   */
  runDaemon(options: Pick<OpenOptions, "home" | "flags">, onReady: () => Promise<unknown>): Promise<void>;
}

/** Prints a value for programs. */
export function printJson(io: Io, value: unknown): void {
  io.out(formatJson(value));
}

/** One line of JSON. What a terminal must not get is escaped, so nothing is lost. */
export function formatJson(value: unknown): string {
  return JSON.stringify(value).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, escaped);
}

/** As JSON has it: in UTF-16, so that a character above U+FFFF is two escapes. */
function escaped(character: string): string {
  return Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
  ).join("");
}

/** Yes, no, or nobody there to ask. */
export async function confirm(io: Io, question: string): Promise<boolean | undefined> {
  const answer = await io.ask(`${question} [y/N] `);
  return answer === undefined ? undefined : /^y(es)?$/i.test(answer.trim());
}
