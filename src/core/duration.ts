/** Lengths of time as people write them: `90s`, `8h`, `1d12h`. One unit after another, largest first. */

import { Failure } from "./errors.ts";
import { cleanText } from "./text.ts";

const UNITS = [
  ["w", 7 * 24 * 3_600_000],
  ["d", 24 * 3_600_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
  ["ms", 1],
] as const;

const PATTERN = new RegExp(`^${UNITS.map(([unit]) => `(?:(\\d{1,15})${unit})?`).join("")}$`);
/** Over this, somebody made a mistake; and the end stays a date that every program can print. */
export const MAX_DURATION_MS = 100 * 365 * 24 * 3_600_000;

/** @returns whole milliseconds, at least 1 @throws {Failure} bad-argument */
export function parseDuration(text: string): number {
  const [, ...counts] = PATTERN.exec(text.trim().toLowerCase()) ?? [];
  const ms = counts.reduce((sum, count, index) => sum + Number(count ?? 0) * (UNITS[index]?.[1] ?? 0), 0);
  if (ms > 0 && ms <= MAX_DURATION_MS) return ms;
  throw new Failure("bad-argument", `not a length of time: "${cleanText(text, 40)}"`, {
    hint: "write it as `90s`, `30m`, `8h`, `7d` or `1d12h`, at most 100 years",
  });
}

/** parseDuration(formatDuration(ms)) is ms. Weeks are shown as days: `14d` reads better than `2w`. */
export function formatDuration(ms: number): string {
  let rest = Math.round(ms);
  let text = "";
  for (const [unit, size] of UNITS.slice(1)) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text === "" ? "0s" : text;
}
