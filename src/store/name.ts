/** The name of a node whose owner chose none: two words, drawn once and kept in the home. */

import { readFile } from "node:fs/promises";
import type { Random } from "../base/index.ts";
import { Failure, isCleanText, twoWords } from "../core/index.ts";
import { errorCode } from "./disk-full.ts";
import type { Home } from "./home.ts";
import { createOnce } from "./write-atomic.ts";

/** As long as a record allows. */
const MAX_NAME_LENGTH = 32;

/** @throws {Failure} home-unusable, disk-full */
export async function openName(home: Home, random: Random): Promise<string> {
  for (;;) {
    const name = await readName(home.name);
    if (name !== undefined) return name;
    await createOnce(home.name, `${twoWords(random)}\n`);
  }
}

async function readName(path: string): Promise<string | undefined> {
  try {
    const name = (await readFile(path, "utf8")).trim();
    if (name !== "" && Array.from(name).length <= MAX_NAME_LENGTH && isCleanText(name)) return name;
    throw new Failure("home-unusable", `"${path}" does not hold a name`, {
      hint: `run \`rm '${path}'\` for a new one, or choose one with \`--name\``,
    });
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}
