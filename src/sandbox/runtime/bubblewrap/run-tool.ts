/** Runs one program of the system to its end, with an argv and never a shell. */

import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { Failure } from "../../../core/index.ts";

export interface ToolOptions {
  /** @default "" */
  readonly input?: string;
  /** As whom. @default the daemon's own user */
  readonly uid?: number | undefined;
}

/** What any of them may say. */
const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;
/** Tools are found here too: the PATH of an ordinary user often lacks them. */
const SYSTEM_FOLDERS = ["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/**
 * @returns what it wrote to stdout
 * @throws {Failure} runtime-failed, with the last line of what it wrote to stderr
 */
export function runTool(
  [file, ...args]: readonly [string, ...string[]],
  { input = "", uid }: ToolOptions,
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const identity = uid === undefined ? {} : { uid, gid: uid };
    const options = { ...identity, cwd: "/", env: { PATH: SYSTEM_FOLDERS.join(delimiter), LC_ALL: "C" } };
    const child = execFile(
      file,
      args,
      { ...options, signal, maxBuffer: MAX_OUTPUT_BYTES },
      (error: Error | null, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else if (signal.aborted) reject(signal.reason as Error);
        else reject(toolFailure(file, stderr, error));
      },
    );
    child.stdin?.on("error", () => {}); // it ended without reading: its exit code says why
    child.stdin?.end(input);
  });
}

function toolFailure(file: string, stderr: string, cause: Error): Failure {
  const said = stderr.trim().split("\n").at(-1) ?? "";
  return new Failure("runtime-failed", `"${file}" failed: ${said === "" ? cause.message : said}`, { cause });
}

/** @returns its path, or undefined where it is not installed */
export async function findTool(name: string, path = ""): Promise<string | undefined> {
  for (const folder of [...path.split(delimiter).filter((part) => part.startsWith("/")), ...SYSTEM_FOLDERS]) {
    const file = join(folder, name);
    const found = await access(file, constants.X_OK).then(
      () => true,
      () => false, // not there, or not for us to run
    );
    if (found) return file;
  }
  return undefined;
}
