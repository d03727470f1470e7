/** Numbers as a program can use them: a clock's `12.345678999999` ms says nothing more than 12.346. */

/** A value for JSON, with at most 3 digits after the point in each number. */
export function rounded(value: unknown): unknown {
  if (typeof value === "number") return Math.round(value * 1000) / 1000;
  if (Array.isArray(value)) return value.map(rounded);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, rounded(part)]));
}
