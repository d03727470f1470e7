/**
 * The helper: a read-only folder that every sandbox sees as `/.p2prc`, with all that the resident needs in any image: Node,
 * its loader and libraries, sshd, and our own files.
 *
 * Built once from what is on this machine, under a name that is the digest of what went in; complete or not there at all.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmod,
  constants,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import { Failure } from "../../core/index.ts";
import { withInterpreter } from "./elf-interpreter.ts";
import { type Libraries, librariesOf } from "./libraries.ts";
import { FOLDER, LIBRARIES, withOwnPasswd } from "./own-passwd.ts";
import { bindingPath, type HelperFile, residentFiles } from "./resident-files.ts";
import { findSshd, helperPath, type Sshd, sshdProblem } from "./sshd.ts";

/** Where sandboxes see it. */
export const HELPER_PATH = "/.p2prc";
const LOADER = "lib/ld.so";

export interface Helper {
  /** On this machine. */
  readonly path: string;
  readonly digest: string;
  /** Whether `ssh:` will work. */
  readonly ssh: boolean;
  /** What a person should know or do, in whole sentences. */
  readonly problems: readonly string[];
}

export interface HelperOptions {
  /** Where OpenSSH's server may be, best first. @default the usual places */
  readonly sshdPlaces?: readonly string[];
}

/** What starts the resident inside. @param args as its `main.ts` has them */
export function residentCommand(...args: readonly string[]): readonly string[] {
  return [...loaded(HELPER_PATH, "bin/node"), ...NODE_FLAGS, `${HELPER_PATH}/resident/main.js`, ...args];
}

/**
 * A sandbox may have little memory: most of what passes through is outside of the heap, whose garbage is little. And whoever
 * waits for it waits for no certificates, which HTTP/2 would have Node read though there is no TLS here: 10 ms of processor.
 */
const NODE_FLAGS = ["--max-old-space-size=96", "--max-semi-space-size=1", "--use-openssl-ca"];

/**
 * @param home the node's own folder; the helper goes below `helper/`
 * @throws {Failure} not-supported, disk-full
 */
export async function openHelper(home: string, options: HelperOptions, signal: AbortSignal): Promise<Helper> {
  const root = join(home, "helper");
  const parts = await gather(options, signal);
  const digest = await digestOf(parts);
  const path = join(root, digest);
  await mkdir(root, { recursive: true });
  await chmod(root, 0o755);
  if (!(await isFolder(path))) await build(parts, path, signal);
  return { path, digest, ssh: parts.sshd !== undefined, problems: parts.problems };
}

/** Removes helpers that no sandbox sees any more, and what a crash left half-built. @param keep digests */
export async function forgetHelpers(home: string, keep: ReadonlySet<string>): Promise<void> {
  const root = join(home, "helper");
  const names = await readdir(root).catch(() => []); // there never was one
  for (const name of names) if (!keep.has(name)) await rm(join(root, name), { recursive: true, force: true });
}

interface Parts {
  readonly files: readonly HelperFile[];
  readonly loader: string;
  /** By name in lib/. */
  readonly libraries: ReadonlyMap<string, string>;
  readonly sshd: Sshd | undefined;
  readonly problems: readonly string[];
}

async function gather({ sshdPlaces }: HelperOptions, signal: AbortSignal): Promise<Parts> {
  const [files, node, binding, sshd] = await Promise.all([
    residentFiles(signal),
    librariesOf(process.execPath, signal),
    librariesOf(bindingPath(), signal),
    findSshd(sshdPlaces),
  ]);
  const { loader } = node;
  if (loader === undefined) {
    throw new Failure("not-supported", `the Node at ${process.execPath} has no loader, so sandboxes cannot borrow it`, {
      hint: "use a Node that is linked dynamically, as nodejs.org and distributions build it",
    });
  }
  const libraries = new Map([...binding.files, ...node.files]);
  if (sshd === undefined) return { files, loader, libraries, sshd, problems: [await sshdProblem()] };
  const wanted = await Promise.all([sshd.path, ...sshd.sessions].map((program) => librariesOf(program, signal)));
  const clash = wanted.some((other) => other.loader !== loader || clashes(libraries, other));
  if (clash) {
    const problem = `sshd and the Node at ${process.execPath} were built against different C libraries, so guests get no ssh: run P2PRC with this system's own Node`;
    return { files, loader, libraries, sshd: undefined, problems: [problem] };
  }
  for (const { files: more } of wanted) for (const [name, path] of more) libraries.set(name, path);
  return { files, loader, libraries, sshd, problems: [] };
}

function clashes(libraries: ReadonlyMap<string, string>, { files }: Libraries): boolean {
  return [...files].some(([name, path]) => (libraries.get(name) ?? path) !== path);
}

/** Over the content of what is ours, and over place, size and time of what is the system's. */
async function digestOf(parts: Parts): Promise<string> {
  const hash = createHash("sha256");
  for (const { path, content } of parts.files) hash.update(`${path}\0${content.length}\0`).update(content);
  for (const path of systemFiles(parts)) {
    const { size, mtimeMs } = await stat(path);
    hash.update(`${path}\0${size}\0${mtimeMs}\0`);
  }
  return hash.digest("hex").slice(0, 32);
}

function systemFiles({ loader, libraries, sshd }: Parts): readonly string[] {
  const programs = sshd === undefined ? [] : [sshd.path, ...sshd.sessions];
  return [process.execPath, loader, ...programs, ...[...libraries.values()].sort()];
}

async function build(parts: Parts, path: string, signal: AbortSignal): Promise<void> {
  const temporary = await mkdtemp(`${path}.tmp-`);
  try {
    await chmod(temporary, 0o755);
    await fill(temporary, parts, signal);
    await tryOut(temporary, signal);
    await rename(temporary, path).catch(async (error: unknown) => {
      if (!(await isFolder(path))) throw error; // else somebody built the same meanwhile
    });
  } catch (error) {
    if (isFull(error))
      throw new Failure("disk-full", "no space is left to prepare what sandboxes need (150 MB)", { cause: error });
    throw error;
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
}

async function fill(root: string, parts: Parts, signal: AbortSignal): Promise<void> {
  for (const { path, content } of parts.files) await put(join(root, path), 0o644, (to) => writeFile(to, content));
  const copies: [from: string, to: string][] = [
    [process.execPath, "bin/node"],
    [parts.loader, LOADER],
    ...[...parts.libraries].map(([name, from]): [string, string] => [from, `lib/${name}`]),
    ...(parts.sshd === undefined ? [] : [[parts.sshd.path, helperPath(parts.sshd.path)] as [string, string]]),
  ];
  for (const [from, path] of copies) {
    signal.throwIfAborted();
    await put(join(root, path), 0o755, (to) => copyFile(from, to, constants.COPYFILE_FICLONE));
  }
  for (const from of parts.sshd?.sessions ?? []) {
    const changed = withInterpreter(await readFile(from), `${HELPER_PATH}/${LOADER}`);
    await put(join(root, helperPath(from)), 0o755, (to) => writeFile(to, changed));
  }
  if (parts.sshd !== undefined) await fillOwnPasswd(root, parts);
  const folders = await readdir(root, { recursive: true, withFileTypes: true });
  for (const folder of folders) if (folder.isDirectory()) await chmod(join(folder.parentPath, folder.name), 0o755);
}

async function fillOwnPasswd(root: string, { libraries }: Parts): Promise<void> {
  for (const name of LIBRARIES) {
    const from = libraries.get(name);
    const changed = from === undefined ? undefined : withOwnPasswd(await readFile(from));
    if (changed !== undefined) await put(join(root, FOLDER, name), 0o755, (to) => writeFile(to, changed));
  }
}

/** @param mode whatever our umask is: whoever a sandbox runs as reads it */
async function put(path: string, mode: number, write: (path: string) => Promise<void>): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await write(path);
  await chmod(path, mode);
}

/** Everything that the resident may load is loaded once, so that what is missing is missed here and not inside. */
async function tryOut(root: string, signal: AbortSignal): Promise<void> {
  const [file, ...args] = [...loaded(root, "bin/node"), ...NODE_FLAGS, join(root, "resident/main.js"), "--check"];
  try {
    await run(file, args, { signal, env: {}, cwd: "/" });
  } catch (cause) {
    signal.throwIfAborted();
    throw new Failure("not-supported", "what sandboxes need could not be put together on this machine", {
      hint: `try \`${basename(process.execPath)} --version\`, and whether the home allows programs to run (noexec)`,
      cause,
    });
  }
}

function loaded(root: string, program: string): readonly string[] {
  return [`${root}/${LOADER}`, "--library-path", `${root}/lib`, `${root}/${program}`];
}

const run = promisify(execFile);

async function isFolder(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined); // not there
  return found?.isDirectory() === true;
}

function isFull(error: unknown): boolean {
  return error instanceof Error && "code" in error && (error.code === "ENOSPC" || error.code === "EDQUOT");
}
