/** ssh of a run that is the person's own: over the home's configuration, on connections that nobody else's `ssh` shares. */

import { spawn } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { PERSIST_S } from "./confine.ts";
import { markRun } from "./run-inside.ts";

/**
 * With what comes before the home's and counts. Connections bear the mark of the run and end with it, so that no `ssh` of
 * somebody else may go over them. No two sandboxes have the same port here. The daemon runs: a host that has its address is not
 * asked about that again, which is a shell for each `ssh`.
 */
export function ownSsh(config: string, { id, work }: { readonly id: string; readonly work: string }): string {
  return `Host *.p2prc
  HostName 127.0.0.1
  BatchMode yes
  LogLevel ERROR
  ControlMaster auto
  ControlPath ${controlPath(work, "m-%p")}
  ControlPersist ${PERSIST_S}
  ${markRun(id)}
Match all
Include ${quoted(config)}
`;
}

/** Connections would stay for a while, with nobody to use them. */
export async function hangUp(work: string): Promise<void> {
  const sockets = (await readdir(work)).filter((name) => name.startsWith("m-"));
  const end = async (name: string) => {
    const words = ["-F", "none", "-O", "exit", "-o", `ControlPath=${controlPath(work, name)}`, "p2prc"];
    const ssh = spawn("ssh", words, { stdio: "ignore", timeout: HANG_UP_MS });
    await new Promise<void>((resolve) => ssh.once("exit", () => resolve()).once("error", () => resolve()));
  };
  await Promise.all(sockets.map(end));
}

/** It only asks a process of this machine. */
const HANG_UP_MS = 5_000;

function controlPath(work: string, name: string): string {
  return quoted(join(work.replaceAll("%", "%%"), name));
}

function quoted(path: string): string {
  return `"${path.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
}
