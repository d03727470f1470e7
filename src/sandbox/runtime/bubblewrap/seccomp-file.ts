/** The filter as a file, which bubblewrap reads from a descriptor of it. */

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomic } from "../../../store/index.ts";
import { seccompProgram } from "./seccomp.ts";
import { type Machine, machines } from "./syscalls.ts";

/** @returns undefined on a machine whose calls we have no list of */
export async function writeSeccomp(folder: string, arch: string): Promise<string | undefined> {
  const machine = machines.find((name): name is Machine => name === arch);
  if (machine === undefined) return undefined;
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const path = join(folder, `seccomp-${machine}.bpf`);
  await writeFileAtomic(path, seccompProgram(machine));
  return path;
}
