/**
 * The three small programs of this system that an engine's containers need beside the helper: `nft`, `sh` and `sleep`, with
 * the libraries and the loader that they ask for, so that they run in any image.
 */

import { access, constants, realpath } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { librariesOf } from "../../helper/libraries.ts";

/** Where system programs are that an ordinary user's PATH may lack. */
const SYSTEM = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"];

export interface ProgramFile {
  /** On this system. */
  readonly from: string;
  /** In the image: `bin/nft`, `lib/libc.so.6`. */
  readonly to: string;
}

/** Every file that the programs need. One that is not here is left out. */
export async function findPrograms(
  names: readonly string[],
  path: string | undefined,
  signal: AbortSignal,
): Promise<readonly ProgramFile[]> {
  const folders = [...(path ?? "").split(delimiter).filter((folder) => folder.startsWith("/")), ...SYSTEM];
  const found = new Map<string, ProgramFile>();
  for (const name of names) {
    const from = await findProgram(name, folders);
    if (from === undefined) continue;
    const { loader, files } = await librariesOf(from, signal);
    const libraries = [...files].map(([library, place]) => ({ from: place, to: `lib/${library}` }));
    if (loader !== undefined) libraries.push({ from: loader, to: "lib/ld.so" });
    for (const file of [{ from, to: `bin/${name}` }, ...libraries]) {
      found.set(file.to, { ...file, from: await realpath(file.from) });
    }
  }
  return [...found.values()];
}

async function findProgram(name: string, folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) {
    try {
      const path = join(folder, name);
      await access(path, constants.X_OK);
      return await realpath(path);
    } catch {
      // not here: the next folder
    }
  }
  return undefined;
}
