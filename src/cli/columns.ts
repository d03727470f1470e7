/**
 * Text in aligned columns. Our own, since the libraries that do it (cli-table3, columnify) cost more
 * start-up time than the rest of `p2prc ls`, and draw boxes that `awk` cannot read.
 *
 * Widths are those of a terminal: most of Chinese, Japanese, Korean and emoji take two cells, and
 * combining marks none.
 */

import { cleanText } from "../core/light.ts";

export interface Column {
  readonly title: string;
  readonly align?: "left" | "right";
}

/** The rows below their titles, two spaces apart, without spaces at the end. Empty cells show as a dash. */
export function formatColumns(columns: readonly Column[], rows: readonly (readonly string[])[]): string[] {
  const lines = [
    columns.map((column) => column.title),
    ...rows.map((row) => row.map((cell, index) => fit(cell, index === row.length - 1 ? MAX_LAST_CELL : MAX_CELL))),
  ];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => widthOf(line[index] ?? ""))));
  return lines.map((line) =>
    columns
      .map(({ align }, index) => pad(line[index] ?? "", { width: widths[index] ?? 0, align }))
      .join("  ")
      .trimEnd(),
  );
}

/** `Key:  value` lines with the values under each other. */
export function formatFields(fields: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...fields.map(([key]) => widthOf(key))) + 1;
  return fields.map(([key, value]) =>
    `${pad(`${key}:`, { width, align: "left" })}  ${fit(value, MAX_LAST_CELL)}`.trimEnd(),
  );
}

/** How many cells of a terminal the text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += WITHOUT_WIDTH.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  return width;
}

const MAX_CELL = 60;
/** Sentences stand in the last column, where they push nothing aside. */
const MAX_LAST_CELL = 300;
const WITHOUT_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]/u;
/** The blocks of Unicode's EastAsianWidth.txt that are W or F, roughly; and emoji shown as pictures. */
const WIDE =
  /^[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{17000}-\u{18d08}\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]|^\p{Emoji_Presentation}/u;

function fit(text: string, max: number): string {
  const clean = Array.from(cleanText(text, max + 1));
  if (clean.length === 0) return "-";
  return clean.length > max ? `${clean.slice(0, max - 1).join("")}…` : clean.join("");
}

function pad(
  text: string,
  { width, align = "left" }: { readonly width: number; readonly align?: "left" | "right" | undefined },
): string {
  const space = " ".repeat(Math.max(0, width - widthOf(text)));
  return align === "left" ? text + space : space + text;
}
