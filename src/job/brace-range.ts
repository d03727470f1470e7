/**
 * `{a,b}` and `{001..250}` as shells expand them, for those that do not, and for more words than a command line holds. What is no
 * list and no range stays as it is, as does what a backslash precedes.
 */

/** A range that never ends is a slip of the finger. */
const MAX_RANGE = 1_000_000;

/** One by one, in the order of a shell: the last brace turns fastest. */
export function* expandBraces(text: string): Generator<string> {
  const group = findGroup(text);
  if (group === undefined) {
    yield text.replace(/\\([{},\\])/g, "$1");
    return;
  }
  const { before, words, after } = group;
  for (const word of words) {
    for (const middle of expandBraces(word))
      for (const end of expandBraces(after)) yield `${plain(before)}${middle}${end}`;
  }
}

interface Group {
  readonly before: string;
  readonly words: Iterable<string>;
  readonly after: string;
}

/** The first that is a list or a range. */
function findGroup(text: string): Group | undefined {
  for (let from = 0; from < text.length; from++) {
    if (text[from] === "\\") from++;
    else if (text[from] === "{") {
      const parts = partsAt(text, from);
      const words = parts === undefined ? undefined : wordsOf(parts.parts);
      if (parts !== undefined && words !== undefined)
        return { before: text.slice(0, from), words, after: text.slice(parts.end) };
    }
  }
  return undefined;
}

/** What stands between the commas of the brace that opens at `from`. */
function partsAt(text: string, from: number): { readonly parts: readonly string[]; readonly end: number } | undefined {
  const parts: string[] = [];
  let depth = 0;
  let begin = from + 1;
  for (let at = from; at < text.length; at++) {
    const character = text[at];
    if (character === "\\") at++;
    else if (character === "{") depth++;
    else if (character === "," && depth === 1) {
      parts.push(text.slice(begin, at));
      begin = at + 1;
    } else if (character === "}" && --depth === 0) return { parts: [...parts, text.slice(begin, at)], end: at + 1 };
  }
  return undefined;
}

const LETTER = /^[a-zA-Z]$/;

function wordsOf(parts: readonly string[]): Iterable<string> | undefined {
  const [only = ""] = parts;
  if (parts.length > 1) return parts;
  const [, from, to, step = "1"] =
    /^(-?\d{1,15}|[a-zA-Z])\.\.(-?\d{1,15}|[a-zA-Z])(?:\.\.(-?\d{1,9}))?$/.exec(only) ?? [];
  if (from === undefined || to === undefined || LETTER.test(from) !== LETTER.test(to)) return undefined;
  const by = Math.abs(Number(step)) || 1;
  return LETTER.test(from) ? letters(from, to, by) : numbers(from, to, by);
}

/** As wide as the wider of both ends, where one of them begins with a zero. @throws {RangeError} */
function* numbers(from: string, to: string, step: number): Generator<string> {
  const [first, last] = [Number(from), Number(to)];
  if (Math.abs(last - first) / step >= MAX_RANGE)
    throw new RangeError(`{${from}..${to}} has over ${MAX_RANGE} numbers`);
  const padded = /^-?0\d/.test(from) || /^-?0\d/.test(to);
  const width = padded ? Math.max(from.length, to.length) : 0;
  const up = first <= last;
  for (let at = first; up ? at <= last : at >= last; at += up ? step : -step) {
    const digits = String(Math.abs(at));
    yield at < 0 ? `-${digits.padStart(width - 1, "0")}` : digits.padStart(width, "0");
  }
}

function* letters(first: string, last: string, step: number): Generator<string> {
  const [from, to] = [first.charCodeAt(0), last.charCodeAt(0)];
  for (let at = from; from <= to ? at <= to : at >= to; at += from <= to ? step : -step) yield String.fromCharCode(at);
}

function plain(text: string): string {
  return text.replace(/\\([{},\\])/g, "$1");
}
