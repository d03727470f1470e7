/**
 * One word of the command line. Commands hold no logic: they ask the client and print.
 *
 * What is declared here is all there is: parsing, help, completion and docs/cli.md come from it.
 */

import type { Io } from "./io.ts";

export interface Argument {
  /** As in usage: `<node>`, `[address]`, `<node...>`. */
  readonly name: string;
  readonly summary: string;
  /** What the shell completes it with. */
  readonly completes?: "nodes" | "boxes" | "files";
  readonly choices?: readonly string[];
}

export interface Option {
  /** As commander reads it: `-f, --follow`, `--sort <by>`. */
  readonly flags: string;
  readonly summary: string;
  readonly choices?: readonly string[];
  /** May be given more than once; collects a list. */
  readonly repeatable?: boolean;
  /** Not in help or completion: for the seed's flags and for tests. */
  readonly hidden?: boolean;
  /** Makes a value of the text. @throws {Failure} bad-argument */
  readonly parse?: (text: string) => unknown;
}

export interface Example {
  readonly command: string;
  readonly about: string;
}

export interface Command<Flags = unknown> {
  readonly arguments?: readonly Argument[];
  readonly options?: readonly Option[];
  /** More about it than its summary, in a paragraph or two. */
  readonly about?: string;
  /** Takes the words of another program behind `--`: they are `Input.rest` and are not looked into. */
  readonly takesCommand?: boolean;
  readonly examples: readonly Example[];
  /** The fields that `--json` prints, with their meaning. Empty where there is nothing to print. */
  readonly json: Readonly<Record<string, string>>;
  /** @returns an exit code other than 0, where the outcome is no failure and yet not what one hopes for */
  run(input: Input<Flags>, io: Io): Promise<number | void>;
}

export interface Input<Flags> {
  readonly args: readonly string[];
  readonly flags: Flags;
  /** What stood behind `--`, where the command takes that. Undefined where there was none. */
  readonly rest?: readonly string[] | undefined;
  /** Absolute. */
  readonly home: string;
  readonly json: boolean;
  /** All there are, for those that tell of others. */
  readonly commands: readonly CommandRow[];
}

/** As they are listed in help and in docs/cli.md. */
export const groups = ["Other machines", "Sandboxes", "This machine", "Who may use it", "This program"] as const;

/** What is known of a command before its module is loaded. */
export interface CommandRow {
  readonly name: string;
  readonly group: (typeof groups)[number];
  readonly summary: string;
  readonly hidden?: boolean;
  /** Takes its words as they are, options and all. */
  readonly raw?: boolean;
  load(): Promise<Command>;
}

/** Ties the flags a command reads to its type; the table of commands forgets it. */
export function command<Flags>(definition: Command<Flags>): Command {
  return definition as Command;
}
