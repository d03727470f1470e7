/**
 * Reads what a person chose, once, at the edge: flags before environment before file.
 *
 * Each source is checked as a whole, also where another one overrides it, so that a mistake is told
 * where it was made. Keys nobody knows are mistakes.
 */

import { open } from "node:fs/promises";
import { basename } from "node:path";
import { Failure } from "../core/index.ts";
import { check } from "./check.ts";
import { type Config, spellings } from "./config.ts";
import { fromEnvironment } from "./environment.ts";

export interface ConfigSources {
  /** As the command line was understood; undefined where a flag was not typed. */
  readonly flags: { readonly [K in keyof Config]: Config[K] | undefined };
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `config.json` in the home. It need not exist. */
  readonly file: string;
}

/** Nobody writes that much by hand. */
const MAX_FILE_BYTES = 64 * 1024;

/** @throws {Failure} bad-config, naming the key and where it stands */
export async function readConfig({ flags, environment, file }: ConfigSources): Promise<Config> {
  const named = basename(file);
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  return Object.freeze({
    ...check(await fromFile(file), { name: named, place: (key) => `${named}: ${key}` }),
    ...check(fromEnvironment(environment), { name: "environment", place: (key) => spellings[key].variable }),
    ...check(given, { name: "command line", place: (key) => spellings[key].flag }),
  });
}

async function fromFile(path: string): Promise<Record<string, unknown>> {
  const text = await readText(path);
  if (text === undefined) return {};
  const value = parseJson(path, text.replace(/^\uFEFF/, ""));
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new Failure("bad-config", `"${path}" does not hold a JSON object`, {
    hint: 'write it as {"name": "attic", "port": 8088}',
  });
}

async function readText(path: string): Promise<string | undefined> {
  try {
    await using file = await open(path, "r");
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES + 1));
    if (bytesRead <= MAX_FILE_BYTES) return buffer.toString("utf8", 0, bytesRead);
    throw new Failure("bad-config", `"${path}" has over ${MAX_FILE_BYTES} bytes`, { hint: "is it the right file?" });
  } catch (error) {
    if (error instanceof Failure) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return undefined;
    throw new Failure("bad-config", `cannot read "${path}": ${code ?? String(error)}`, {
      hint: `run \`ls -l '${path}'\``,
      cause: error,
    });
  }
}

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Failure("bad-config", `"${path}" is not JSON: ${(cause as Error).message.slice(0, 120)}`, {
      hint: "mend it, or move it away: without the file everything has its default",
      cause,
    });
  }
}
