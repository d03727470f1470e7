/**
 * The one line in a person's own `~/.ssh/config` that makes `ssh` read ours. It stands first, since in that file whatever is
 * said first holds, and a line inside of somebody's `Host` block would hold for that host alone.
 */

import { mkdir, readFile, realpath, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Failure } from "../../core/light.ts";

export interface IncludePlaces {
  /** The person's home folder. */
  readonly userHome: string;
  /** Our own file, which is included. */
  readonly config: string;
}

/** @returns whether it was not there before @throws {Failure} home-unusable, disk-full */
export async function installInclude(places: IncludePlaces): Promise<boolean> {
  const file = await openConfig(places.userHome);
  const line = includeLine(places.config);
  const rest = without(file.text, line);
  if (file.text === `${line}\n${rest}`) return false;
  await mkdir(dirname(file.path), { recursive: true, mode: 0o700 });
  await replace(file, `${line}\n${rest}`);
  return true;
}

/** @returns whether it was there */
export async function removeInclude(places: IncludePlaces): Promise<boolean> {
  const file = await openConfig(places.userHome);
  const rest = without(file.text, includeLine(places.config));
  if (rest === file.text) return false;
  await replace(file, rest);
  return true;
}

/** @returns whether `ssh` reads our file */
export async function isIncluded(places: IncludePlaces): Promise<boolean> {
  const { text } = await openConfig(places.userHome);
  return without(text, includeLine(places.config)) !== text;
}

interface ConfigFile {
  /** Where it really is: some keep it elsewhere and link to it. */
  readonly path: string;
  readonly text: string;
  readonly mode: number;
}

async function openConfig(userHome: string): Promise<ConfigFile> {
  const link = join(userHome, ".ssh", "config");
  try {
    const path = await realpath(link);
    const [text, { mode }] = await Promise.all([readFile(path, "utf8"), stat(path)]);
    return { path, text, mode: mode & 0o777 };
  } catch (cause) {
    if (cause instanceof Error && "code" in cause && cause.code === "ENOENT")
      return { path: link, text: "", mode: 0o600 };
    throw new Failure("home-unusable", `cannot read "${link}"`, { hint: `run \`ls -l '${link}'\``, cause });
  }
}

/** Loaded when it is needed: the command line reads this file too. */
async function replace({ path, mode }: ConfigFile, text: string): Promise<void> {
  const { writeFileAtomic } = await import("../../store/index.ts");
  await writeFileAtomic(path, text, { mode });
}

export function includeLine(config: string): string {
  return `Include "${config.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}

function without(text: string, line: string): string {
  return text
    .split("\n")
    .filter((each) => each !== line)
    .join("\n");
}
