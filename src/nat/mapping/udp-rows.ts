/**
 * Which UDP ports a node takes where its house has several: an end of the DHT is named by its port outside, which has to be
 * its own. So the second node of a house moves here to a row that is free on the router.
 */

/** The nodes of one machine have neighbouring rows: another machine's are beyond all of these. */
const APART = 64;
/** Machines behind one router that have such rows; any more are punched to. */
const MAX_ROWS = 8;

/** The preferred row and its likes, and first of all the one that was had before. */
export function rowsOf(preferred: readonly number[], before: number | undefined): readonly (readonly number[])[] {
  const [first] = preferred;
  if (first === undefined) return [];
  const starts = Array.from({ length: MAX_ROWS }, (_, n) => first + n * APART);
  const inOrder = new Set([rowAt(first, before), ...starts]);
  const rows = Array.from(inOrder, (start) => preferred.map((port) => port - first + start));
  return rows.filter((row) => row.every((port) => port <= 65_535));
}

/** `before`, where that begins a row of a node that prefers `first`; else that one. */
export function rowAt(first: number, before: number | undefined): number {
  if (before === undefined) return first;
  const apart = before - first;
  return apart >= 0 && apart < MAX_ROWS * APART && apart % APART === 0 ? before : first;
}
