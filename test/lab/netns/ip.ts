/** The programs that change a network, each with an argv, each either done or an error with their own words. */

import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** None of them takes longer than this, unless the kernel hangs. */
const MAX_MS = 10_000;

/** `ip` with these words. @returns what it printed */
export async function ip(...words: readonly string[]): Promise<string> {
  return await tool("ip", words);
}

/** `tc` inside a namespace. */
export async function tc(namespace: string, ...words: readonly string[]): Promise<void> {
  await tool("tc", ["-n", namespace, ...words]);
}

/** `nft -f` inside a namespace: all of the script, or none of it. */
export async function nft(namespace: string, script: string): Promise<void> {
  const child = spawn("ip", ["netns", "exec", namespace, "nft", "-f", "-"], { stdio: ["pipe", "ignore", "pipe"] });
  child.stdin.end(script);
  const [complaint, [code]] = await Promise.all([text(child.stderr), once(child, "close")]);
  if (code !== 0) throw new Error(`nft: ${complaint.trim()}\n${script}`);
}

async function tool(program: string, words: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execute(program, [...words], { timeout: MAX_MS });
    return stdout;
  } catch (cause) {
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : String(cause);
    throw new Error(`${program} ${words.join(" ")}: ${said}`, { cause });
  }
}
