/**
 * Amounts of memory and disk as people write them. As in Docker, `8G` is 8 GiB; who means powers of
 * ten writes `8GB`.
 */

import { Failure } from "./errors.ts";
import { cleanText } from "./text.ts";

const LETTERS = ["k", "m", "g", "t", "p"];
const PATTERN = /^(\d{1,16})(?:\.(\d{1,9}))?\s*(?:([kmgtp])(i?b)?|b)?$/;

/** @returns whole bytes @throws {Failure} bad-argument */
export function parseSize(text: string): number {
  const match = PATTERN.exec(text.trim().toLowerCase());
  const [, whole = "", fraction = "", letter, suffix] = match ?? [];
  const unit = letter === undefined ? 1 : (suffix === "b" ? 1000 : 1024) ** (LETTERS.indexOf(letter) + 1);
  // The parts are multiplied apart: 1.5 TB is exact, and so is every whole number.
  const bytes = Number(whole) * unit + Math.round((Number(fraction) / 10 ** fraction.length) * unit);
  const broken = fraction !== "" && unit === 1; // half a byte
  if (match !== null && !broken && Number.isSafeInteger(bytes)) return bytes;
  throw new Failure("bad-argument", `not an amount of bytes: "${cleanText(text, 40)}"`, {
    hint: "write it as `512M`, `8G` or `1.5T` (powers of 1024), or `8GB` (powers of 1000)",
  });
}

/** parseSize(formatSize(bytes)) is bytes: the largest unit that divides it. */
export function formatSize(bytes: number): string {
  let power = 0;
  while (power < LETTERS.length && bytes > 0 && bytes % 1024 ** (power + 1) === 0) power++;
  return power === 0 ? `${bytes}B` : `${bytes / 1024 ** power}${(LETTERS[power - 1] ?? "").toUpperCase()}iB`;
}
