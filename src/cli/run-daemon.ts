/** The daemon in the foreground: a child that ends with this process, one way or the other. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { ownDaemon } from "../client/index.ts";
import type { OpenOptions } from "./io.ts";

export async function runDaemonHere(
  { home, flags = [] }: Pick<OpenOptions, "home" | "flags">,
  onReady: () => Promise<unknown>,
  signal: AbortSignal,
): Promise<void> {
  const { command, args } = ownDaemon();
  const child = spawn(command, [...args, "--home", home, ...flags], { stdio: "inherit" });
  signal.addEventListener("abort", () => child.kill("SIGTERM"));
  await onReady();
  await once(child, "exit");
}
