/** Runs a program to its end and keeps what it said. The libraries' programs are found first. */

import { spawn } from "node:child_process";
import { delimiter, dirname, join } from "node:path";
import { text } from "node:stream/consumers";

export const root = join(import.meta.dirname, "..", "..");

/** What a tool is started with: `node_modules/.bin` and this very Node first, and `sbin` where a user's PATH lacks it. */
export const environment: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: [
    join(root, "node_modules", ".bin"),
    dirname(process.execPath),
    process.env["PATH"] ?? "",
    "/usr/sbin",
    "/sbin",
  ].join(delimiter),
};

/** Some packages come slowly; what takes longer has hung. */
const MAX_MS = 15 * 60_000;

export interface Outcome {
  readonly ok: boolean;
  /** stdout and stderr, in that order. */
  readonly output: string;
}

/** @param argv the program and its arguments @returns with `ok` false also where it could not be started */
export async function run(argv: readonly [string, ...string[]], cwd: string = root): Promise<Outcome> {
  const [program, ...rest] = argv;
  const child = spawn(program, rest, { cwd, env: environment, stdio: ["ignore", "pipe", "pipe"], timeout: MAX_MS });
  const ended = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`${program}: ${error.message}\n`));
    child.once("close", (code, signal) => resolve(code === 0 ? "" : `${program}: ended with ${signal ?? code}\n`));
  });
  const [said, complained, trouble] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { ok: trouble === "", output: said + complained + trouble };
}
