/** Names of the members in /etc/hosts, where that can be written: a block of ours first, and what says otherwise of the own name put aside. */

import { readFile, writeFile } from "node:fs/promises";

const ASIDE = "#p2prc# ";

/** @param lines empty: everything as it was @returns whether it is written now */
export async function writeNames(path: string, mark: string, lines: readonly HostLine[]): Promise<boolean> {
  try {
    const before = await readFile(path, "utf8");
    const after = withNames(before, mark, lines);
    // In its place: an engine has mounted it there, and nothing else can be put over it.
    if (after !== before) await writeFile(path, after);
    return true;
  } catch {
    return false; // read-only, another's, or not there
  }
}

export interface HostLine {
  readonly address: string;
  readonly name: string;
}

export function withNames(text: string, mark: string, lines: readonly HostLine[]): string {
  const begin = `# p2prc group tunnel ${mark}: begin`;
  const end = `# p2prc group tunnel ${mark}: end`;
  const at = text.indexOf(begin);
  const until = text.indexOf(end);
  const whole = at >= 0 && until > at ? text.slice(0, at) + text.slice(until + end.length + 1) : text;
  const others = /^# p2prc group tunnel .*: begin$/mu.test(whole);
  const rest = whole.replaceAll(others ? NOTHING : new RegExp(`^${ASIDE}`, "gmu"), "");
  if (lines.length === 0) return rest;
  const named = new Set(lines.map(({ name }) => name));
  const aside = rest.split("\n").map((line) => (contradicts(line, named) ? `${ASIDE}${line}` : line));
  const block = lines.map(({ address, name }) => `${address}\t${name}\n`).join("");
  return `${begin}\n${block}${end}\n${aside.join("\n")}`;
}

const NOTHING = /(?!)/gu;

/** The system says of itself that it is at 127.0.1.1, or at an address of an engine's. */
function contradicts(line: string, named: ReadonlySet<string>): boolean {
  const [address = "", ...names] = line.split("#")[0]?.trim().split(/\s+/u) ?? [];
  if (address === "" || address.startsWith("127.77.") || names.includes("localhost")) return false;
  return names.some((name) => named.has(name));
}
