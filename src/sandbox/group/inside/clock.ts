/** Time inside: the one place of the gate that knows it. */

/** @returns what calls it off */
export function after(ms: number, work: () => void): () => void {
  // oxlint-disable-next-line no-restricted-globals -- this is the clock
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}
