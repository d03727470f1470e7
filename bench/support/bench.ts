/** What a bench is: a name, and tables that it fills in while it runs. */

/** One line of a table, by column. A column's name carries its unit. */
export type Row = Readonly<Record<string, string | number | undefined>>;

export interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

export interface Bench {
  readonly name: string;
  readonly summary: string;
  /** What this machine lacks for it. */
  readonly lacks?: () => string | false;
  /** @param note words about what it does now */
  run(note: (words: string) => void, signal: AbortSignal): Promise<readonly Table[]>;
}

/** `met` or `MISSED`, for the column beside a target. */
export function verdict(reached: boolean): string {
  return reached ? "met" : "MISSED";
}
