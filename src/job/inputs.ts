/** From what was typed to the list of inputs: braces, then globs, in the order in which they were named. */

import { glob, stat } from "node:fs/promises";
import { resolve } from "node:path";
import { cleanText, Failure } from "../core/light.ts";
import { expandBraces } from "./brace-range.ts";

export interface InputWords {
  readonly words: readonly string[];
  /** As they stand, one a line: out of a file, or piped in. */
  readonly lines?: AsyncIterable<string> | undefined;
  /** Whether they are files. Else they are words. */
  readonly files: boolean;
  /** From which paths lead. */
  readonly cwd: string;
}

/** More than any job has; the list of them is held in memory. */
const MAX_INPUTS = 1_000_000;

/** @throws {Failure} bad-argument, not-found, too-large */
export async function findInputs({ words, lines, files, cwd }: InputWords): Promise<readonly string[]> {
  const found: string[] = [];
  const add = (input: string) => {
    if (found.length === MAX_INPUTS) throw new Failure("too-large", `that is over ${MAX_INPUTS} inputs`);
    found.push(input);
  };
  for (const word of words) {
    for (const input of braces(word)) {
      if (files && isPattern(input) && !(await isThere(resolve(cwd, input))))
        for (const path of await matching(input, cwd)) add(path);
      else add(input);
    }
  }
  for await (const line of lines ?? []) if (line !== "") add(line);
  if (found.length === 0)
    throw new Failure("bad-argument", "there are no inputs", { hint: "name files, or words with --args" });
  if (files) await checkFiles(found, cwd);
  return found;
}

function* braces(word: string): Generator<string> {
  try {
    yield* expandBraces(word);
  } catch (error) {
    if (error instanceof RangeError) throw new Failure("too-large", error.message);
    throw error;
  }
}

function isPattern(text: string): boolean {
  return /[*?[]/.test(text);
}

async function matching(pattern: string, cwd: string): Promise<readonly string[]> {
  const paths = await Array.fromAsync(glob(pattern, { cwd }));
  if (paths.length > 0) return paths.sort();
  throw new Failure("not-found", `no file is called ${shown(pattern)}`, {
    hint: "look at the pattern, or at the folder",
  });
}

/** Each is looked at once, before anything is started: a slip in a name is found now, not in an hour. */
async function checkFiles(paths: readonly string[], cwd: string): Promise<void> {
  for (let at = 0; at < paths.length; at += LOOKS_AT_ONCE) {
    await Promise.all(paths.slice(at, at + LOOKS_AT_ONCE).map((path) => checkFile(path, cwd)));
  }
}

const LOOKS_AT_ONCE = 64;

async function checkFile(path: string, cwd: string): Promise<void> {
  const stats = await stat(resolve(cwd, path)).catch((error: NodeJS.ErrnoException) => error);
  if (stats instanceof Error) {
    const hint = "inputs that are words and no files go with --args";
    if (stats.code === "ENOENT") throw new Failure("not-found", `no such file: ${shown(path)}`, { hint });
    throw new Failure("not-found", `cannot look at ${shown(path)} (${stats.code})`);
  }
  if (!stats.isFile())
    throw new Failure("bad-argument", `${shown(path)} is no file`, {
      hint: "an input is one file: pack a folder with tar",
    });
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    () => false,
  );
}

function shown(path: string): string {
  return `"${cleanText(path, 120)}"`;
}
