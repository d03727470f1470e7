/**
 * Does what a plan says, and takes it back.
 *
 * What is about to be written is noted in the home first, so that whatever happens in between,
 * uninstall finds it. Nothing that somebody else put in a place of ours is overwritten or removed.
 */

import {
  chmod,
  lstat,
  mkdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  rmdir,
  symlink,
  writeFile,
} from "node:fs/promises";
import { dirname, join } from "node:path";
import { makeFolder } from "../base/index.ts";
import { Failure } from "../core/light.ts";
import type { Step } from "./install-plan.ts";

/** What was written, in its order. */
export interface Journal {
  readonly v: 1;
  readonly steps: readonly Step[];
  /** Folders that were made for it, the outermost first. */
  readonly folders: readonly string[];
  /** Whether lingering was turned on for it. */
  readonly linger: boolean;
}

export const EMPTY: Journal = { v: 1, steps: [], folders: [], linger: false };

const FILE = "installed.json";

/** @throws {Failure} home-unusable */
export async function readJournal(home: string): Promise<Journal> {
  const text = await orNothing(readFile(join(home, FILE), "utf8"));
  if (text === undefined) return EMPTY;
  try {
    const journal = JSON.parse(text) as Journal;
    if (journal.v === 1) return journal;
  } catch {
    // told below: half a file and a foreign one are the same to the person
  }
  throw new Failure("home-unusable", `"${join(home, FILE)}" cannot be read: what was installed is not known`, {
    hint: "remove ~/.local/bin/p2prc, the completion files and the service by hand, then that file",
  });
}

export async function writeJournal(home: string, journal: Journal): Promise<void> {
  await makeFolder(home);
  const path = join(home, FILE);
  await writeFile(`${path}.new`, `${JSON.stringify(journal, undefined, 2)}\n`, { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** Whether the step is done already, as it stands. @throws {Failure} conflict when its place is somebody else's */
export async function isDone(step: Step, before: Journal): Promise<boolean> {
  switch (step.kind) {
    case "link":
    case "file": {
      if ((await orNothing(lstat(step.path))) === undefined) return false;
      const done = step.kind === "link" ? await leadsTo(step.path, step.target) : await holds(step.path, step.content);
      if (!done && !isOurs(step, before)) throw foreign(step.path);
      return done;
    }
    case "line":
      return ((await orNothing(readFile(step.path, "utf8"))) ?? "").split("\n").includes(step.line);
    case "service":
      return false; // its manager knows; asking it to go on is harmless
  }
}

async function leadsTo(path: string, target: string): Promise<boolean> {
  return (await orNothing(readlink(path))) === target;
}

async function holds(path: string, content: string): Promise<boolean> {
  return (await orNothing(readFile(path, "utf8"))) === content;
}

/** Folders that `path` needs and that are not there, the outermost first. */
export async function missingFolders(path: string): Promise<readonly string[]> {
  const parent = dirname(path);
  if (parent === path || (await orNothing(lstat(parent))) !== undefined) return [];
  return [...(await missingFolders(parent)), parent];
}

/** Services are their manager's; see `service.ts`. */
export async function doStep(step: Exclude<Step, { readonly kind: "service" }>): Promise<void> {
  await mkdir(dirname(step.path), { recursive: true });
  switch (step.kind) {
    case "link":
      await rm(step.path, { force: true });
      return await symlink(step.target, step.path);
    case "file":
      return await writeFile(step.path, step.content);
    case "line": {
      const text = (await orNothing(readFile(step.path, "utf8"))) ?? "";
      return await replaceFile(step.path, `${text}${text === "" || text.endsWith("\n") ? "" : "\n"}${step.line}\n`);
    }
  }
}

export async function undoStep(step: Exclude<Step, { readonly kind: "service" }>): Promise<void> {
  switch (step.kind) {
    case "link":
      if (await leadsTo(step.path, step.target)) await rm(step.path);
      return;
    case "file":
      if (await holds(step.path, step.content)) await rm(step.path); // else somebody's own by now
      return;
    case "line": {
      const text = await orNothing(readFile(step.path, "utf8"));
      if (text === undefined || !text.includes(step.line)) return;
      const rest = text
        .split("\n")
        .filter((line) => line !== step.line)
        .join("\n");
      if (rest === "" && (await orNothing(readlink(step.path))) === undefined)
        await rm(step.path); // it held nothing else: it was made for the line
      else await replaceFile(step.path, rest);
    }
  }
}

/** The innermost first, and only those that are empty now. */
export async function removeFolders(folders: readonly string[]): Promise<void> {
  for (const folder of folders.toReversed()) {
    try {
      await rmdir(folder);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ENOTEMPTY" && code !== "EEXIST" && code !== "ENOENT") throw error;
    }
  }
}

/** A start-up file of a shell is never half written; where it is a link (dotfiles), what it leads to is replaced. */
async function replaceFile(path: string, content: string): Promise<void> {
  const target = (await orNothing(realpath(path))) ?? path;
  const found = await orNothing(lstat(target));
  if (found === undefined || found.isSymbolicLink()) return await writeFile(path, content); // not there yet
  await writeFile(`${target}.p2prc-new`, content);
  await chmod(`${target}.p2prc-new`, found.mode & 0o777);
  await rename(`${target}.p2prc-new`, target);
}

function isOurs(step: Step, { steps }: Journal): boolean {
  return steps.some(({ kind, path }) => kind === step.kind && path === step.path);
}

function foreign(path: string): Failure {
  return new Failure("conflict", `"${path}" is there already, and p2prc did not put it there`, {
    hint: "move it away, then run `p2prc install` again",
  });
}

async function orNothing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR" || code === "EINVAL") return undefined;
    throw error;
  }
}
