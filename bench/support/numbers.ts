/** Words for many numbers. */

export const MB = 1e6;
export const MIB = 1_048_576;

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** @param share 0.99 is what all but one in a hundred stay below */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
}

/** The values of each name, in rounds: what one round suffers the others of that round suffer too. */
export async function alternate<Name extends string>(
  names: readonly Name[],
  rounds: number,
  measure: (name: Name) => Promise<number>,
): Promise<Record<Name, readonly number[]>> {
  const values = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (const name of names) await measure(name); // warms caches and compilers, and is not counted
  for (let round = 0; round < rounds; round++) for (const name of names) values[name].push(await measure(name));
  return values;
}
