/**
 * What stands for a task's own words in a command and in the names of outputs:
 *
 *   {in}    the input: its path in the sandbox, or with words as inputs the word itself
 *   {out}   where the task writes its output; {out2} the second one, and so on
 *   {dir} {base} {name} {ext}   of `a/001.pov`: `a`, `001.pov`, `001`, `pov`
 *   {n}     its number, from 1
 *
 * `{{in}}` is `{in}` as it stands; other braces are nobody's business here (awk has many).
 */

import { parse } from "node:path";

export type Placeholder = "in" | "dir" | "base" | "name" | "ext" | "n" | `out${string}`;
export type Values = Readonly<Partial<Record<Placeholder, string>>>;

const PATTERN = /\{\{(in|dir|base|name|ext|n|out\d*)\}\}|\{(in|dir|base|name|ext|n|out\d*)\}/g;

/** What has no value stays as it is. */
export function fillWord(word: string, values: Values): string {
  return word.replace(PATTERN, (whole, literal: string | undefined, name: string | undefined) =>
    literal === undefined ? (values[name as Placeholder] ?? whole) : `{${literal}}`,
  );
}

/** Which of them the words use. */
export function placeholdersIn(words: readonly string[]): ReadonlySet<Placeholder> {
  const found = words.flatMap((word) => Array.from(word.matchAll(PATTERN), ([, , name]) => name));
  return new Set(found.filter((name) => name !== undefined) as Placeholder[]);
}

/** What an input says about itself. @param n from 1 */
export function valuesOf(input: string, n: number): Values {
  const { dir, base, name, ext } = parse(input);
  return { dir: dir === "" ? "." : dir, base, name, ext: ext.slice(1), n: String(n) };
}
