/** A grant as a person types it: `--cpus 4 --memory 8G --disk 20G --gpu 1 --lifetime 8h --until 30d`. No schema library here. */

import { parseDuration } from "./duration.ts";
import { Failure } from "./errors.ts";
import type { Grant } from "./grant.ts";
import { parseSize } from "./size.ts";
import { cleanText } from "./text.ts";

/** The values of the options of those names. What is absent was not typed. */
export interface GrantWords {
  readonly own?: boolean | undefined;
  readonly sandboxes?: string | undefined;
  readonly cpus?: string | undefined;
  readonly memory?: string | undefined;
  readonly disk?: string | undefined;
  readonly gpu?: string | undefined;
  readonly lifetime?: string | undefined;
  readonly network?: string | undefined;
  readonly ports?: string | undefined;
  readonly publish?: boolean | undefined;
  readonly relay?: boolean | undefined;
  /** A length of time from now (`30d`), or a date (`2026-12-31`, with a time where one wants). */
  readonly until?: string | undefined;
}

/** What was typed, and no more: the rest keeps its default, or what it was. @throws {Failure} bad-argument */
export function parseGrantWords(words: GrantWords, wallTime: number): Partial<Grant> {
  const found: { [K in keyof Grant]?: Grant[K] | undefined } = {
    kind: words.own === undefined ? undefined : words.own ? "own" : "guest",
    sandboxes: given(words.sandboxes, (text) => parseCount(text, "--sandboxes")),
    cpus: given(words.cpus, parseCores),
    memoryBytes: given(words.memory, parseSize),
    diskBytes: given(words.disk, parseSize),
    gpus: given(words.gpu, (text) => parseCount(text, "--gpu")),
    maxLifetimeMs: given(words.lifetime, parseDuration),
    network: given(words.network, parseNetwork),
    ports: given(words.ports, (text) => parseCount(text, "--ports")),
    publish: words.publish,
    relay: words.relay,
    until: given(words.until, (text) => parseUntil(text, wallTime)),
  };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined)) as Partial<Grant>;
}

/** A whole number from 0. @throws {Failure} bad-argument */
export function parseCount(text: string, option: string): number {
  if (/^\d{1,6}$/.test(text.trim())) return Number(text);
  throw new Failure("bad-argument", `not a number for ${option}: "${cleanText(text, 40)}"`, {
    hint: "write a whole number, as in `2`",
  });
}

/** @returns wall time in milliseconds, later than now @throws {Failure} bad-argument */
export function parseUntil(text: string, wallTime: number): number {
  const date = /^\d{4}-\d{2}-\d{2}/.test(text.trim()) ? Date.parse(text.trim()) : wallTime + parseDuration(text);
  if (date > wallTime) return date;
  throw new Failure(
    "bad-argument",
    `${Number.isNaN(date) ? "not a date" : "that has passed"}: "${cleanText(text, 40)}"`,
    {
      hint: "write a length of time from now (`30d`) or a date to come (`2030-12-31`)",
    },
  );
}

/** Cores, with fractions. @throws {Failure} bad-argument */
export function parseCores(text: string): number {
  const cpus = /^\d{1,5}(?:\.\d{1,3})?$/.test(text.trim()) ? Number(text) : Number.NaN;
  if (cpus > 0 && cpus <= 65_536) return cpus;
  throw new Failure("bad-argument", `not a number of cores: "${cleanText(text, 40)}"`, {
    hint: "write it as `4` or `0.5`",
  });
}

function parseNetwork(text: string): Grant["network"] {
  if (text === "none" || text === "internet") return text;
  throw new Failure("bad-argument", `not a kind of network: "${cleanText(text, 40)}"`, {
    hint: "write `--network none` or `--network internet`",
  });
}

function given<T>(text: string | undefined, parse: (text: string) => T): T | undefined {
  return text === undefined ? undefined : parse(text);
}
