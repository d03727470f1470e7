/** Which command a person means: the first word that is no option. */

import { Failure, nearest } from "../core/light.ts";
import type { CommandRow } from "./command.ts";

export interface Found {
  readonly row: CommandRow;
  /** The other words, in their order. */
  readonly rest: readonly string[];
}

/** @throws {Failure} bad-argument */
export function findCommand(words: readonly string[], commands: readonly CommandRow[]): Found {
  if (words[0] === "__complete") return { row: rowNamed("__complete", commands), rest: words.slice(1) }; // what follows is somebody's unfinished line
  const at = verbIndex(words);
  const word = words[at];
  if (word === undefined)
    return { row: rowNamed(wordless(words), commands), rest: words.filter((one) => !WORDLESS.has(one)) };
  const row = commands.find(({ name }) => name === word);
  if (row === undefined) throw unknownOption(words.slice(0, at)) ?? unknownCommand(word, commands);
  return { row, rest: words.toSpliced(at, 1) };
}

/** @throws {Failure} bad-argument */
export function rowNamed(name: string, commands: readonly CommandRow[]): CommandRow {
  const row = commands.find((one) => one.name === name);
  if (row === undefined) throw unknownCommand(name, commands);
  return row;
}

const WORDLESS = new Map([
  ["-h", "help"],
  ["--help", "help"],
  ["-V", "version"],
  ["--version", "version"],
]);

/** @throws {Failure} bad-argument */
function wordless(words: readonly string[]): string {
  const asked = words.find((word) => WORDLESS.has(word));
  if (asked !== undefined) return WORDLESS.get(asked) ?? "help";
  const unknown = unknownOption(words);
  if (unknown === undefined) return "help";
  throw unknown;
}

/** Of those that may stand before a command. */
function unknownOption(words: readonly string[]): Failure | undefined {
  const unknown = words.find((word) => word.startsWith("-") && !/^--(json|restart|home)(=|$)/.test(word));
  if (unknown === undefined) return undefined;
  return new Failure("bad-argument", `unknown option "${unknown.slice(0, 80)}"`, {
    hint: "`p2prc help` lists the commands and options",
  });
}

/** The first word that is no option, nor the value of one. */
function verbIndex(words: readonly string[]): number {
  return words.findIndex((word, index) => !word.startsWith("-") && words[index - 1] !== "--home");
}

function unknownCommand(word: string, commands: readonly CommandRow[]): Failure {
  const suggestion = nearest(
    word,
    commands.filter(({ hidden }) => hidden !== true).map(({ name }) => name),
  );
  const hint =
    suggestion === undefined
      ? "`p2prc help` lists the commands"
      : `did you mean \`p2prc ${suggestion}\`? \`p2prc help\` lists the commands`;
  return new Failure("bad-argument", `unknown command "${word.slice(0, 80)}"`, { hint });
}
