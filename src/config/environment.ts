/** What the environment says: `P2PRC_PORT=9000`, lists with commas, yes or no in the usual words. */

import { Failure, nearest } from "../core/index.ts";
import { type Config, configKeys, spellings } from "./config.ts";

/** Read by others, before there is a configuration. */
const ELSEWHERE = ["P2PRC_HOME", "P2PRC_DEBUG"];
const YES = ["1", "true", "yes", "on"];
const NO = ["0", "false", "no", "off"];

/** Values as they were meant; whether they are allowed is for `check`. @throws {Failure} bad-config */
export function fromEnvironment(environment: Readonly<Record<string, string | undefined>>): Record<string, unknown> {
  const known = configKeys.map((key) => spellings[key].variable);
  for (const name of Object.keys(environment)) {
    if (name.startsWith("P2PRC_") && !known.includes(name) && !ELSEWHERE.includes(name))
      throw unknownName(name, [...known, ...ELSEWHERE]);
  }
  const found: Record<string, unknown> = {};
  for (const key of configKeys) {
    const text = environment[spellings[key].variable];
    if (text !== undefined && text !== "") found[key] = read(key, text);
  }
  return found;
}

function read(key: keyof Config, text: string): unknown {
  switch (spellings[key].type) {
    case "text":
      return text;
    case "number":
      return /^\s*\d+\s*$/.test(text) ? Number(text) : text;
    case "list":
      return text.split(/[\s,]+/).filter((item) => item !== "");
    case "yes or no": {
      const word = text.trim().toLowerCase();
      return YES.includes(word) ? true : NO.includes(word) ? false : text;
    }
  }
}

function unknownName(name: string, known: readonly string[]): Failure {
  const meant = nearest(name, known);
  return new Failure("bad-config", `no such variable: ${name}`, {
    hint: meant === undefined ? `there are ${known.join(", ")}` : `did you mean ${meant}?`,
  });
}
