/** What a table was made of, kept beside the benches: one JSON object a line. */

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

const FOLDER = join(import.meta.dirname, "../raw");

/** In place of the rows of the run before. */
export async function keepRaw(bench: string, rows: readonly object[]): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  await writeFile(join(FOLDER, `${bench}.ndjson`), rows.map((row) => `${JSON.stringify(row)}\n`).join(""));
}
