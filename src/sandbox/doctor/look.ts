/** Looks at this machine for what `check-up.ts` judges. Reads files and tries nothing. */

import { access, constants, readFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { type HostFacts, paths, programs, sockets } from "./check-up.ts";

export interface LookOptions {
  readonly platform: NodeJS.Platform;
  readonly uid: number | undefined;
  readonly user: string;
  /** A PATH; where the system's own tools are is looked at in any case. */
  readonly path: string;
}

const SYSTEM_FOLDERS = ["/usr/sbin", "/sbin", "/usr/bin"];

export async function lookAround(options: LookOptions): Promise<HostFacts> {
  const { platform, uid, user } = options;
  const [files, found, engines] = await Promise.all([
    platform === "linux" ? readFiles() : new Map<string, string>(),
    findPrograms(options.path),
    findSockets(),
  ]);
  return { platform, uid, user, files, programs: found, sockets: engines };
}

async function readFiles(): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  const keep = async (name: string, file = name) => {
    const text = await readIfThere(file);
    if (text !== undefined) files.set(name, text.trim());
  };
  for (const name of Object.values(paths)) if (name.startsWith("/")) await keep(name);
  const own = /^0::(\/.*)$/m.exec(files.get(paths.ownCgroup) ?? "")?.[1];
  if (own !== undefined) await keep(paths.controllers, join("/sys/fs/cgroup", own, "cgroup.controllers"));
  return files;
}

async function findPrograms(path: string): Promise<ReadonlySet<string>> {
  const folders = [...path.split(delimiter), ...SYSTEM_FOLDERS].filter((folder) => folder !== "");
  const found = new Set<string>();
  for (const program of programs)
    for (const folder of folders) if (await may(join(folder, program), constants.X_OK)) found.add(program);
  return found;
}

async function findSockets(): Promise<HostFacts["sockets"]> {
  const found = new Map<string, "open" | "refused">();
  for (const socket of sockets) {
    if (!(await may(socket, constants.F_OK))) continue;
    found.set(socket, (await may(socket, constants.R_OK | constants.W_OK)) ? "open" : "refused");
  }
  return found;
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error) return undefined; // not there, or not for us: it says nothing
    throw error;
  }
}

async function may(file: string, mode: number): Promise<boolean> {
  try {
    await access(file, mode);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error) return false;
    throw error;
  }
}
