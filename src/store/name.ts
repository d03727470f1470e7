/** The name of a node: the one that its owner chose last, else two words, drawn once. Kept in the home. */

import { readFile } from "node:fs/promises";
import type { Random } from "../base/index.ts";
import { cleanText, Failure, isCleanText, twoWords } from "../core/index.ts";
import { errorCode } from "./disk-full.ts";
import type { Home } from "./home.ts";
import { createOnce, writeFileAtomic } from "./write-atomic.ts";

/** As long as a record allows. */
const MAX_NAME_LENGTH = 32;

/** @param chosen at this start @throws {Failure} home-unusable, disk-full */
export async function openName(home: Home, random: Random, chosen?: string): Promise<string> {
  if (chosen !== undefined) return await keepName(home, cleanText(chosen, MAX_NAME_LENGTH));
  for (;;) {
    const name = await readName(home.name);
    if (name !== undefined) return name;
    await createOnce(home.name, `${twoWords(random)}\n`);
  }
}

/** A node that was called attic stays attic, also when nobody says so again. */
async function keepName(home: Home, name: string): Promise<string> {
  const kept = await readFile(home.name, "utf8").catch(() => ""); // whatever is there, it is written anew
  if (kept.trim() !== name && name.trim() !== "") await writeFileAtomic(home.name, `${name}\n`);
  return name;
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
