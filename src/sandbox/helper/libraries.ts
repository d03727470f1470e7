/** Which shared libraries and which loader a program of this machine needs, as the loader itself tells. */

import { execFile } from "node:child_process";
import { access, realpath } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";

export interface Libraries {
  /** What the kernel starts instead of the program; undefined for one that is linked statically. */
  readonly loader: string | undefined;
  /** By the name that programs ask for: `libc.so.6`. */
  readonly files: ReadonlyMap<string, string>;
}

const run = promisify(execFile);
const LOADER = /(?:^|\/)(?:ld-linux|ld-musl|ld64|ld)[^/]*\.so/u;
/** Opened while running, so that the loader does not list them: how an older C library reads /etc/passwd. */
const UNLISTED = ["libnss_files.so.2"];

/** @param program a path of this machine, that nobody else chose: the loader runs */
export async function librariesOf(program: string, signal: AbortSignal): Promise<Libraries> {
  const { stdout } = await run("ldd", [program], { signal, env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } }).catch(
    (error: unknown) => {
      if (isStatic(error)) return { stdout: "" };
      throw error;
    },
  );
  const { loader, files } = parseLdd(stdout);
  const folder = files.get("libc.so.6");
  for (const name of folder === undefined ? [] : UNLISTED) {
    const path = join(dirname(folder ?? ""), name);
    if (!files.has(name) && (await isThere(path))) files.set(name, path);
  }
  return { loader: loader === undefined ? undefined : await realpath(loader), files };
}

/** Lines are `libc.so.6 => /lib/libc.so.6 (0x…)`, or `/lib64/ld-linux-x86-64.so.2 (0x…)` for the loader. */
export function parseLdd(text: string): { loader: string | undefined; files: Map<string, string> } {
  const files = new Map<string, string>();
  let loader: string | undefined;
  for (const line of text.split("\n")) {
    const [, name = "", path = name] = /^\s*(\S+)(?: => (\/\S+))? \(0x[0-9a-f]+\)$/u.exec(line) ?? [];
    if (!path.startsWith("/")) continue; // the kernel's own, or not found
    if (LOADER.test(path)) loader = path;
    else files.set(basename(name), path);
  }
  return { loader, files };
}

function isStatic(error: unknown): boolean {
  const said = error instanceof Error && "stderr" in error ? String(error.stderr) : "";
  return /not a dynamic executable|not a valid dynamic program/iu.test(said);
}

async function isThere(path: string): Promise<boolean> {
  return await access(path).then(
    () => true,
    () => false,
  );
}
