/**
 * A transcript: a session on the command line that reads as documentation and runs as a test.
 *
 *     Words about it.
 *
 *     attic$ p2prc invite
 *     <link>
 *     ...
 *
 * Lines with a prompt are typed on the machine of that name (`$` alone: on `here`); what follows, up
 * to an empty line, is all that must be printed, stdout and stderr together. `<ms>`, `<id>` … stand for
 * what differs each time, `...` for any lines. `<link>`, `<id>`, `<port>` and their numbered kin are
 * remembered: where they come again, also in commands, they are the same. `? 3` is the exit code. ` &`
 * leaves a command running and `^C` interrupts it. Runs of spaces count as one, and empty lines not at all.
 */

export interface Typed {
  readonly machine: string;
  readonly command: string;
  readonly expected: readonly string[];
  readonly exit: number;
  readonly line: number;
}

const PROMPT = /^([a-z]*)\$ (.+)$/;

export function parseTranscript(text: string): readonly Typed[] {
  const lines = text.split("\n");
  const typed: Typed[] = [];
  for (let at = 0; at < lines.length; at++) {
    const [, machine, command] = PROMPT.exec(lines[at] ?? "") ?? [];
    if (machine === undefined || command === undefined) continue;
    const end = lines.findIndex((line, index) => index > at && (line === "" || PROMPT.test(line)));
    const said = lines.slice(at + 1, end === -1 ? undefined : end);
    const exit = said.map((line) => /^\? (\d+)$/.exec(line)?.[1]).find((code) => code !== undefined);
    const expected = said.filter((line) => !/^\? \d+$/.test(line));
    typed.push({
      machine: machine === "" ? "here" : machine,
      command,
      expected,
      exit: Number(exit ?? 0),
      line: at + 1,
    });
  }
  return typed;
}

/** What the placeholders stand for. */
const KINDS: Readonly<Record<string, string>> = {
  ms: String.raw`[\d.]+ (?:ns|µs|ms|s)`,
  latency: String.raw`[\d.]+(?:ns|µs|ms|s)`,
  speed: String.raw`[\d.]+ [kMG]?B/s`,
  amount: String.raw`[\d.]+ (?:B|[kMG]B|[KMGT]iB)`,
  id: "[ybndrfg8ejkmcpqxot1uwisza345h769]{52}",
  short: "[a-z0-9]{4}…[a-z0-9]{4}",
  link: String.raw`p2prc://[a-z0-9]{52}/[a-z0-9]+\?\S+`,
  invite: "[a-z0-9]{2,32}",
  port: String.raw`\d{4,5}`,
  pid: String.raw`\d+`,
  number: String.raw`\d+`,
  version: String.raw`\d+\.\d+\.\d+\S*`,
  clock: String.raw`\d\d:\d\d`,
  time: String.raw`\d{4}-\d\d-\d\d \d\d:\d\d`,
  any: ".*",
};
const REMEMBERED = new Set(["id", "link", "invite", "port"]);
const PLACEHOLDER = /<([a-z]+)(\d*)>/g;

/** What was remembered so far; `compare` adds to it. */
export type Memory = Map<string, string>;

export function recall(text: string, memory: Memory): string {
  return text.replace(PLACEHOLDER, (whole, kind: string, number: string) => memory.get(`${kind}${number}`) ?? whole);
}

/** Undefined when all of it is as expected, else what is not. */
export function compare(expected: readonly string[], printed: readonly string[], memory: Memory): string | undefined {
  let at = 0;
  for (const [index, line] of expected.entries()) {
    if (line === "...") {
      const next = expected[index + 1];
      if (next === undefined) return undefined;
      const found = printed.findIndex((one, position) => position >= at && matches(next, one, memory));
      if (found === -1) return `after "...", nothing is like\n  ${next}`;
      at = found;
      continue;
    }
    const one = printed[at++];
    if (one === undefined) return `missing:\n  ${line}`;
    if (!matches(line, one, memory)) return `expected:\n  ${recall(line, memory)}\nprinted:\n  ${one}`;
  }
  return at < printed.length ? `not expected:\n  ${printed[at]}` : undefined;
}

function matches(expected: string, printed: string, memory: Memory): boolean {
  const names: string[] = [];
  const pattern = squeeze(expected)
    .split(PLACEHOLDER)
    .map((part, index, parts) => {
      if (index % 3 === 0) return escaped(part);
      if (index % 3 === 2) return "";
      return patternOf({ kind: part, name: part + (parts[index + 1] ?? "") }, { names, memory });
    })
    .join("");
  const found = new RegExp(`^${pattern}$`, "u").exec(squeeze(printed));
  for (const [index, name] of names.entries()) if (found !== null) memory.set(name, found[index + 1] ?? "");
  return found !== null;
}

function patternOf(
  { kind, name }: { readonly kind: string; readonly name: string },
  { names, memory }: { readonly names: string[]; readonly memory: Memory },
): string {
  const pattern = KINDS[kind];
  if (pattern === undefined) throw new Error(`no such placeholder: <${name}>`);
  const known = memory.get(name);
  if (known !== undefined) return escaped(squeeze(known));
  if (!REMEMBERED.has(kind)) return `(?:${pattern})`;
  names.push(name);
  return `(${pattern})`;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`);
}

function squeeze(line: string): string {
  return line.replace(/\s+/g, " ").trimEnd();
}

/** The words of a command: spaces part them, quotes hold them together. */
export function splitWords(command: string): readonly string[] {
  return Array.from(
    command.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g),
    ([, single, double, bare]) => single ?? double ?? bare ?? "",
  );
}
