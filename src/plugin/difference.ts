/** What is different between two states of a plugin, for a person to read before it is taken over. */

import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { cleanText } from "../core/index.ts";

/** Lines that a person reads at one time; the rest is counted. */
const MAX_LINES = 400;
const MAX_LINE_LENGTH = 300;
/** Of a file whose lines are compared; larger ones are only named. */
const MAX_FILE_BYTES = 64 * 1_024;

/** `+ file`, `- file`, `~ file` and below it its lines, `+` and `-`. Empty: nothing has changed. */
export async function differenceOf(before: string, after: string): Promise<readonly string[]> {
  const [old, now] = await Promise.all([filesIn(before), filesIn(after)]);
  const names = [...new Set([...old.keys(), ...now.keys()])].toSorted((a, b) => (a < b ? -1 : 1));
  const lines = names.flatMap((name) => fileLines(name, old.get(name), now.get(name)));
  const shown = lines.slice(0, MAX_LINES).map((line) => cleanText(line.replaceAll("\t", "  "), MAX_LINE_LENGTH));
  return lines.length > MAX_LINES ? [...shown, `… and ${lines.length - MAX_LINES} more lines`] : shown;
}

function fileLines(name: string, old: Buffer | undefined, now: Buffer | undefined): readonly string[] {
  if (old === undefined || now === undefined) {
    const [sign, content] = now === undefined ? ["-", old] : ["+", now];
    return [`${sign} ${name}`, ...(sign === "+" ? textLines(content).map((line) => `    + ${line}`) : [])];
  }
  if (old.equals(now)) return [];
  const [a, b] = [textLines(old), textLines(now)];
  if (a.length === 0 || b.length === 0) return [`~ ${name} (${digest(old)} is ${digest(now)} now)`];
  return [`~ ${name}`, ...changed(a, b)];
}

/** From the first line that differs to the last one. */
function changed(a: readonly string[], b: readonly string[]): readonly string[] {
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  return [
    ...a.slice(start, a.length - end).map((line) => `    - ${line}`),
    ...b.slice(start, b.length - end).map((line) => `    + ${line}`),
  ];
}

/** None where it is no text, or too long. */
function textLines(content: Buffer | undefined): readonly string[] {
  if (content === undefined || content.length > MAX_FILE_BYTES || content.includes(0)) return [];
  return content.toString("utf8").split("\n");
}

async function filesIn(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(await Promise.all(files.map(async (file) => [relative(folder, file), await readFile(file)] as const)));
}

function digest(content: Buffer): string {
  return createHash("sha256").update(content).digest("hex").slice(0, 12);
}
