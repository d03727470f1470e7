/**
 * The flags of the first P2PRC, as its document writes them, turned into today's verbs.
 *
 * They were independent of each other there, so `--us --ls` is one walk and one list. A verb that
 * comes first wins: after it, nothing is rewritten.
 */

import { fromSeedWords, isSeedWord } from "./seed-words.ts";

const SEED = new Map<string, "serve" | "update" | "ls" | "touch">([
  ["-s", "serve"],
  ["--us", "update"],
  ["--ls", "ls"],
  ["--touch", "touch"],
]);
/** Which of several given at once does the work: the last one is done by the first anyway. */
const BY_RANK = ["serve", "touch", "update", "ls"] as const;

/** Options that may come before such a flag and take the next word. */
const WITH_VALUE = new Set("--home --hops --ports --name --port --listen --allow-network --relay --runtime".split(" "));

export function fromSeedFlags(argv: readonly string[]): readonly string[] {
  if (!beginsWithSeedFlag(argv)) return argv;
  const words = argv.flatMap((word) =>
    word.startsWith("--touch=") ? ["--touch", word.slice("--touch=".length)] : [word],
  );
  const verb = BY_RANK.find((one) => words.some((word) => SEED.get(word) === one));
  if (verb === undefined) return fromSeedWords(argv);
  const rest = words.filter((word) => !SEED.has(word)).map((word) => (word === "--GPU" ? "--gpu=1" : word));
  const shape = { serve: [], touch: ["--seed"], update: ["--blocks"], ls: ["--blocks"] }[verb];
  return [verb, ...shape, ...rest];
}

/** Whether such a flag comes before any verb. */
function beginsWithSeedFlag(argv: readonly string[]): boolean {
  for (let index = 0; index < argv.length; index++) {
    const word = argv[index] ?? "";
    if (SEED.has(word) || word.startsWith("--touch=") || isSeedWord(word)) return true;
    if (word === "--id" || word === "--ID") index++; // says whose group it is, before or behind it
    if (!word.startsWith("-") || word === "--") return false;
    if (WITH_VALUE.has(word)) index++;
  }
  return false;
}
