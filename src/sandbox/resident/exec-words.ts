/** What may stand in the frames of an exec. They come from a guest: nothing is taken as it is. */

import type { ExecStart } from "./protocol.ts";

const MAX_ENV = 1_024;

/** @throws {RangeError} */
export function parseStart(content: Buffer): ExecStart {
  const value = parseObject(content);
  const { argv, env = {}, cwd, user, terminal } = value;
  if (!Array.isArray(argv) || !argv.every(isText)) throw new RangeError("argv is a list of texts");
  return {
    argv,
    env: parseEnv(env),
    ...(cwd === undefined ? {} : { cwd: text(cwd) }),
    ...(user === undefined ? {} : { user: text(user) }),
    ...(terminal === undefined ? {} : { terminal: parseTerminal(terminal) }),
  };
}

/** @throws {RangeError} */
export function parseSize(content: Buffer): [columns: number, rows: number] {
  const { columns, rows } = parseObject(content);
  return [cells(columns), cells(rows)];
}

function parseEnv(value: unknown): Record<string, string> {
  if (!isObject(value)) throw new RangeError("env is an object");
  const rows = Object.entries(value);
  if (rows.length > MAX_ENV) throw new RangeError(`env has over ${MAX_ENV} names`);
  for (const [name, content] of rows) {
    if (name === "" || /[=\0]/u.test(name) || !isText(content))
      throw new RangeError("env has a name or a value that cannot be");
  }
  return value as Record<string, string>;
}

function parseTerminal(value: unknown): NonNullable<ExecStart["terminal"]> {
  if (!isObject(value)) throw new RangeError("terminal is an object");
  const type = text(value["type"]);
  if (!/^[A-Za-z0-9][A-Za-z0-9+._-]{0,63}$/u.test(type)) throw new RangeError("no such type of terminal");
  return { columns: cells(value["columns"]), rows: cells(value["rows"]), type };
}

/** The kernel keeps them in 16 bits. A terminal that does not know its size says 0. */
function cells(value: unknown): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0 || value > 65_535) {
    throw new RangeError("a terminal has from 0 to 65535 columns and rows");
  }
  return value === 0 ? 1 : value;
}

function text(value: unknown): string {
  if (!isText(value)) throw new RangeError("not a text");
  return value;
}

/** No NUL: the system would end it there, and start something else. */
function isText(value: unknown): value is string {
  return typeof value === "string" && !value.includes("\0");
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseObject(content: Buffer): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(content.toString("utf8"));
  } catch {
    throw new RangeError("not JSON");
  }
  if (!isObject(value)) throw new RangeError("not an object");
  return value;
}
