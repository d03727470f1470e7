/**
 * What may follow on an unfinished command line. The shells' scripts ask this and do nothing
 * themselves, so the three of them agree.
 */

import { cleanText } from "../core/light.ts";
import type { Argument, Command, CommandRow, Option } from "./command.ts";

export interface Candidate {
  readonly word: string;
  readonly about: string;
}

/** A list of words, or that the shell's own completion of file names is wanted. */
export type Completion = readonly Candidate[] | "files";

export interface CompletionDeps {
  readonly commands: readonly CommandRow[];
  /** Names that are known now; quick, and none rather than an error. */
  readonly nodes: (home: string | undefined) => Promise<readonly string[]>;
  /** Of sandboxes, in the same manner. */
  readonly boxes: (home: string | undefined) => Promise<readonly string[]>;
  readonly globalOptions: readonly Option[];
}

const NONE: Completion = [];

/** @param words what follows `p2prc`; the last one is unfinished, perhaps empty */
export async function completeWords(words: readonly string[], deps: CompletionDeps): Promise<Completion> {
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const verb = before.find((word, index) => !word.startsWith("-") && before[index - 1] !== "--home");
  const row = deps.commands.find(({ name }) => name === verb);
  const found = row === undefined ? undefined : await row.load();
  const options = [...(found?.options ?? []), ...deps.globalOptions].filter(({ hidden }) => hidden !== true);
  const wanting = options.find((option) => takesValue(option) && wordsOf(option).includes(before.at(-1) ?? ""));
  if (wanting !== undefined) return startingWith(typed, valuesOf(wanting));
  if (typed.startsWith("-")) return startingWith(typed, optionWords(options));
  if (verb === undefined || verb === "help") return startingWith(typed, commandWords(deps.commands));
  const argument = found === undefined ? undefined : argumentAt(found, countArguments(before, options) - 1);
  return argument === undefined ? NONE : startingWith(typed, await argumentWords(argument, before, deps));
}

/** As the scripts read it: a word, a tab, what it means. */
export function printed(completion: Completion): readonly string[] {
  if (completion === "files") return [":files"];
  return completion.map(({ word, about }) => (about === "" ? word : `${word}\t${about}`));
}

/**
 * Whether a shell may put the word on its line as it is: others chose these names, and bash would run
 * what stands in `$(…)`.
 */
export function isSafeWord(word: string): boolean {
  return /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$/u.test(word) && cleanText(word, 64) === word;
}

function startingWith(typed: string, candidates: Completion): Completion {
  return candidates === "files" ? candidates : candidates.filter(({ word }) => word.startsWith(typed));
}

function commandWords(commands: readonly CommandRow[]): readonly Candidate[] {
  return commands.filter(({ hidden }) => hidden !== true).map(({ name, summary }) => ({ word: name, about: summary }));
}

function optionWords(options: readonly Option[]): readonly Candidate[] {
  return options.flatMap((option) =>
    wordsOf(option)
      .filter((word) => word.startsWith("--"))
      .map((word) => ({ word, about: option.summary })),
  );
}

function valuesOf({ flags, choices }: Option): Completion {
  if (choices !== undefined) return choices.map((word) => ({ word, about: "" }));
  return flags.includes("<folder>") || flags.includes("<file>") ? "files" : NONE;
}

async function argumentWords(
  { choices, completes }: Argument,
  before: readonly string[],
  deps: CompletionDeps,
): Promise<Completion> {
  if (choices !== undefined) return choices.map((word) => ({ word, about: "" }));
  if (completes === "files") return "files";
  if (completes === undefined) return NONE;
  const names = completes === "boxes" ? await deps.boxes(homeIn(before)) : await deps.nodes(homeIn(before));
  return names.filter(isSafeWord).map((word) => ({ word, about: completes === "boxes" ? "sandbox" : "node" }));
}

function argumentAt({ arguments: all = [] }: Command, index: number): Argument | undefined {
  const last = all.at(-1);
  return all[index] ?? (last?.name.includes("...") === true ? last : undefined);
}

/** How many words before the unfinished one are neither options nor their values; the verb counts. */
function countArguments(before: readonly string[], options: readonly Option[]): number {
  const takers = new Set(options.filter(takesValue).flatMap(wordsOf));
  return before.filter((word, index) => !word.startsWith("-") && !takers.has(before[index - 1] ?? "")).length;
}

function homeIn(before: readonly string[]): string | undefined {
  const at = before.indexOf("--home");
  return at === -1 ? undefined : before[at + 1];
}

function wordsOf({ flags }: Option): readonly string[] {
  return flags.split(/[ ,]+/).filter((word) => word.startsWith("-"));
}

function takesValue({ flags }: Option): boolean {
  return flags.includes("<");
}
