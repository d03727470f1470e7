/** Time inside: the one place of the worker that reads it. */

export function now(): number {
  // oxlint-disable-next-line no-restricted-properties -- this is the clock
  return performance.now();
}

/** @returns what calls it off */
export function after(ms: number, work: () => void): () => void {
  // oxlint-disable-next-line no-restricted-globals -- this is the clock
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

export async function sleep(ms: number): Promise<void> {
  await new Promise<void>((resolve) => void after(ms, resolve));
}
