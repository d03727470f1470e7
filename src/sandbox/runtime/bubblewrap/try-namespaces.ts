/** Whether an ordinary user may make the namespaces that a sandbox consists of; where not, which of the usual locks is shut. */

import { readFile } from "node:fs/promises";
import { Failure } from "../../../core/index.ts";
import { runTool } from "./run-tool.ts";
import type { Tools } from "./tools.ts";

/** For tries that are nobody's: the kernel's own. */
export const NOBODY = 65_534;

/** A daemon of root tries it as somebody else, since that is how its sandboxes run. @throws {Failure} not-supported */
export async function tryNamespaces({ unshare }: Pick<Tools, "unshare">, signal: AbortSignal): Promise<void> {
  const uid = process.getuid?.() === 0 ? NOBODY : undefined;
  try {
    await runTool([unshare, "--user", "--map-root-user", "--mount", "--net", "--", "/bin/true"], { uid }, signal);
  } catch (cause) {
    if (!(cause instanceof Failure)) throw cause;
    throw new Failure("not-supported", `this machine lets no ordinary user make namespaces: ${cause.message}`, {
      hint: unlocking(await Promise.all(LOCKS.map(({ file }) => readFile(file, "utf8").catch(() => "")))), // not this kernel's
      cause,
    });
  }
}

const LOCKS = [
  {
    file: "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
    shut: "1",
    // Ubuntu 24.04 and later. The profile for one program is the smaller hole; both are said.
    open: "run `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`, or give /usr/bin/unshare and /usr/bin/bwrap an AppArmor profile with `userns,`",
  },
  {
    file: "/proc/sys/kernel/unprivileged_userns_clone",
    shut: "0",
    open: "run `sudo sysctl kernel.unprivileged_userns_clone=1`",
  },
  {
    file: "/proc/sys/user/max_user_namespaces",
    shut: "0",
    open: "run `sudo sysctl user.max_user_namespaces=10000`",
  },
] as const;

/** @param contents of the files of LOCKS, in their order */
export function unlocking(contents: readonly string[]): string {
  const shut = LOCKS.find((lock, index) => contents[index]?.trim() === lock.shut);
  return shut?.open ?? "in a container, allow it to make user namespaces; else see what the kernel's log says";
}
