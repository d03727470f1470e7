/**
 * From words on the command line to a command and its input. commander does the reading; what it
 * complains of becomes a Failure with the usage as its hint.
 */

import { Command as Parser, CommanderError, Option as ParserOption } from "commander";
import { Failure } from "../core/light.ts";
import type { Command, CommandRow, Example, Option } from "./command.ts";
import { globalOptions } from "./global-options.ts";

export interface Parsed {
  readonly args: readonly string[];
  readonly rest: readonly string[] | undefined;
  readonly flags: Record<string, unknown>;
  readonly json: boolean;
  readonly home: string | undefined;
  readonly restart: boolean;
}

/** What `--help` is to print. */
export class HelpAsked extends Error {
  readonly text: string;

  constructor(text: string) {
    super("help was asked for");
    this.text = text;
  }
}

/** @throws {Failure} bad-argument @throws {HelpAsked} */
export function parseWords(row: CommandRow, command: Command, words: readonly string[]): Parsed {
  const parser = parserOf(row, command);
  const dashes = command.takesCommand === true ? words.indexOf("--") : -1;
  const rest = dashes < 0 ? undefined : words.slice(dashes + 1);
  try {
    parser.parse(dashes < 0 ? [...words] : words.slice(0, dashes), { from: "user" });
  } catch (error) {
    throw translated(error, row, parser);
  }
  refuseEmptyWords(row, command, parser);
  const { home, json, restart, ...flags } = parser.opts();
  return {
    args: parser.args,
    rest,
    flags,
    json: json === true,
    home: typeof home === "string" ? home : undefined,
    restart: restart === true,
  };
}

/** As from a variable that is not set: `p2prc ping "$NODE"`. @throws {Failure} bad-argument */
function refuseEmptyWords(row: CommandRow, command: Command, parser: Parser): void {
  const empty = parser.args.findIndex((word) => word.trim() === "");
  const name = command.arguments?.[empty]?.name;
  if (name === undefined) return;
  throw new Failure("bad-argument", `${name} is empty`, { hint: `usage: p2prc ${row.name} ${parser.usage()}` });
}

/** The command line in one line, as in `p2prc ping [options] <node>`. */
export function usageOf(row: CommandRow, command: Command): string {
  return `p2prc ${row.name} ${parserOf(row, command).usage()}`.trim();
}

export function helpOf(row: CommandRow, command: Command): string {
  return parserOf(row, command).helpInformation();
}

export function withExamples(help: string, examples: readonly Example[]): string {
  const width = Math.max(0, ...examples.map(({ command }) => command.length));
  return [
    help.trimEnd(),
    "",
    "Examples:",
    ...examples.map(({ command, about }) => `  ${command.padEnd(width)}   # ${about}`),
  ].join("\n");
}

function parserOf(row: CommandRow, command: Command): Parser {
  const parser = new Parser(`p2prc ${row.name}`)
    .description([sentence(row.summary), command.about ?? ""].filter((part) => part !== "").join("\n\n"))
    .helpOption("-h, --help", "print this")
    .exitOverride()
    .configureOutput({ writeOut: () => undefined, writeErr: () => undefined, getOutHelpWidth: () => 100 })
    .allowExcessArguments(false);
  for (const { name, summary, choices } of command.arguments ?? []) {
    const argument = parser.createArgument(name, summary);
    parser.addArgument(choices === undefined ? argument : argument.choices([...choices]));
  }
  for (const option of command.options ?? []) parser.addOption(parserOption(option));
  parser.optionsGroup("Everywhere:");
  for (const option of globalOptions) parser.addOption(parserOption(option).helpGroup("Everywhere:"));
  return parser;
}

function parserOption({ flags, summary, choices, repeatable, hidden, parse }: Option): ParserOption {
  const option = new ParserOption(flags, summary).hideHelp(hidden === true);
  if (choices !== undefined) option.choices([...choices]);
  const one = parse ?? ((text: string) => text);
  if (repeatable === true)
    option.argParser((text: string, before: unknown) => [...(Array.isArray(before) ? before : []), one(text)]);
  else if (parse !== undefined) option.argParser((text: string) => parse(text));
  return option;
}

function translated(error: unknown, row: CommandRow, parser: Parser): unknown {
  if (!(error instanceof CommanderError)) return error;
  if (error.code === "commander.helpDisplayed") return new HelpAsked(parser.helpInformation());
  const [message = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const usage = `p2prc ${row.name} ${parser.usage()}`;
  const hint =
    suggestion === undefined ? `usage: ${usage}` : `did you mean ${/ (\S+)\?\)$/.exec(suggestion)?.[1] ?? suggestion}?`;
  return new Failure("bad-argument", message.replace(/\.$/, ""), { hint });
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
