/** A script of examples/ as a person runs it on barn, with `p2prc` as it stands here. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { LendingLab } from "./lending-lab.ts";

export const EXAMPLES = join(import.meta.dirname, "../../examples");
const BIN = join(import.meta.dirname, "../../src/cli/bin.ts");

export async function runExample(
  lab: LendingLab,
  [script, ...words]: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>> = {},
) {
  const home = lab.machines.homeOf("barn");
  const own = { HOME: join(home, ".."), P2PRC_HOME: home, P2PRC: `${process.execPath} ${BIN}` };
  const child = spawn(join(EXAMPLES, script), words, {
    env: { ...process.env, ...own, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const [out, err, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close") as Promise<[number]>,
  ]);
  return { out, err, code };
}

/** box1, box2 and box3, and the group `farm` of them, without a network. */
export async function touchFarm(
  lab: LendingLab,
): Promise<{ readonly exit: number; readonly lines: readonly string[] }> {
  const words = ["--count", "3", "--near", "--name", "box", "--group", "farm", "--network", "none"];
  return await lab.barn("touch", ...words, "--memory", "768M");
}
