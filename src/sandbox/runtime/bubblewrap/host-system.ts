/** Which parts of the host's own system are there to be shown, and which files of /proc to be hidden. Looked up once. */

import { lstat, readlink, stat } from "node:fs/promises";
import type { HostSystem } from "./arguments.ts";
import { SHARED_ETC } from "./made-etc.ts";

const ROOTS = ["/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"];
/** Docker's list of masked paths, and those of security reviews of it since. */
const MASKED = ["kcore", "keys", "key-users", "kallsyms", "kmsg", "latency_stats", "sched_debug", "sysrq-trigger"];
const MASKED_MORE = ["timer_list", "timer_stats", "interrupts", "config.gz", "kpagecgroup", "kpagecount", "kpageflags"];
const MASKED_FOLDERS = ["acpi", "asound", "scsi", "bus", "irq", "fs"];

export async function lookAtHost(): Promise<HostSystem> {
  const [roots, etc, masked, maskedFolders] = await Promise.all([
    Promise.all(ROOTS.map(lookAtRoot)),
    those(SHARED_ETC),
    those([...MASKED, ...MASKED_MORE].map((name) => `/proc/${name}`)),
    those(MASKED_FOLDERS.map((name) => `/proc/${name}`)),
  ]);
  return { roots: roots.flat(), etc, masked, maskedFolders };
}

async function lookAtRoot(path: string): Promise<HostSystem["roots"]> {
  const found = await lstat(path).catch(() => undefined); // not on this machine
  if (found?.isSymbolicLink() === true) return [{ path, link: await readlink(path) }];
  return found?.isDirectory() === true ? [{ path, link: undefined }] : [];
}

async function those(paths: readonly string[]): Promise<readonly string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        () => true,
        () => false, // not on this machine
      ),
    ),
  );
  return paths.filter((_, index) => found[index]);
}
