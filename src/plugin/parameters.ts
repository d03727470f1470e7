/**
 * Parameters of a plugin: from `-p key=value` to values, and to a file of variables for Ansible. They arrive as data:
 * Ansible never looks for `{{ … }}` in what is marked `!unsafe`.
 */

import { cleanText, Failure } from "../core/index.ts";
import type { Parameter } from "./contract.ts";

export type Value = string | number | boolean;
export type Values = Readonly<Record<string, Value>>;

const MAX_VALUE_LENGTH = 65_536;

/** @throws {Failure} bad-argument: one is missing, unknown, or does not fit */
export function parameterValues(parameters: Readonly<Record<string, Parameter>>, given: Values): Values {
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(parameters, key)) continue;
    const known = Object.keys(parameters).join(", ");
    throw new Failure("bad-argument", `the plugin has no parameter "${cleanText(key, 80)}"`, {
      hint: known === "" ? "it has none at all" : `it has ${known}`,
    });
  }
  const missing: string[] = [];
  const values: Record<string, Value> = {};
  for (const [key, parameter] of Object.entries(parameters)) {
    const value = Object.hasOwn(given, key) ? given[key] : parameter.default;
    if (value === undefined) missing.push(key);
    else values[key] = parseValue(key, String(value), parameter);
  }
  if (missing.length === 0) return values;
  throw new Failure("bad-argument", `the plugin wants to be told ${missing.join(", ")}`, {
    hint: `give ${missing.length === 1 ? "it" : "them"} as ${missing.map((key) => `-p ${key}=…`).join(" ")}`,
  });
}

/** @throws {Failure} bad-argument */
export function parseValue(key: string, text: string, { type, choices }: Parameter): Value {
  if (text.length > MAX_VALUE_LENGTH) throw unfit(key, text, `has over ${MAX_VALUE_LENGTH} characters`);
  const value = typed(key, text, type);
  if (choices === undefined || choices.some((choice) => String(choice) === String(value))) return value;
  throw unfit(key, text, `is none of ${choices.join(", ")}`);
}

function typed(key: string, text: string, type: Parameter["type"]): Value {
  if (type === "string") return text;
  if (type === "boolean") {
    const word = text.trim().toLowerCase();
    if (["yes", "true", "on", "1"].includes(word)) return true;
    if (["no", "false", "off", "0"].includes(word)) return false;
    throw unfit(key, text, "is neither yes nor no");
  }
  const number = /^\s*-?\d+(\.\d+)?(e-?\d+)?\s*$/iu.test(text) ? Number(text) : Number.NaN;
  if (!Number.isFinite(number) || (type === "integer" && !Number.isSafeInteger(number))) {
    throw unfit(key, text, type === "integer" ? "is no whole number" : "is no number");
  }
  return number;
}

function unfit(key: string, text: string, why: string): Failure {
  return new Failure("bad-argument", `${key}: "${cleanText(text, 40)}" ${why}`);
}

/** A file for `--extra-vars @…`: JSON, with every text marked as data. JSON is YAML, but for what JSON leaves as it is. */
export function unsafeVariables(values: Values): string {
  const lines = Object.entries(values).map(
    ([key, value]) => `${key}: ${typeof value === "string" ? `!unsafe ${yamlText(value)}` : JSON.stringify(value)}\n`,
  );
  return lines.length === 0 ? "{}\n" : lines.join("");
}

/** In double quotes, all but plain ASCII escaped: YAML knows JSON's escapes, but no surrogates. */
function yamlText(text: string): string {
  return JSON.stringify(text.toWellFormed()).replaceAll(/[^ -~]/gu, (character) => {
    const point = character.codePointAt(0) ?? 0;
    return point > 0xffff ? `\\U${hex(point, 8)}` : `\\u${hex(point, 4)}`;
  });
}

function hex(point: number, digits: number): string {
  return point.toString(16).padStart(digits, "0");
}
