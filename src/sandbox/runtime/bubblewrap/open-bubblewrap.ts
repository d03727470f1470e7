/** Finds out whether sandboxes can be made by bubblewrap here, which walls hold, and what a person can do for the others. */

import { mkdir } from "node:fs/promises";
import { arch } from "node:os";
import { join } from "node:path";
import type { Clock, Log } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import type { RuntimeFacts } from "../runtime.ts";
import { BubblewrapRuntime } from "./bubblewrap-runtime.ts";
import { lookAtHost } from "./host-system.ts";
import { cgroupSources, openCgroups } from "./open-cgroups.ts";
import { writeSeccomp } from "./seccomp-file.ts";
import { askBubblewrap, findTools } from "./tools.ts";
import { grantedSubIds } from "./uid-ranges.ts";

export interface BubblewrapDeps {
  readonly clock: Clock;
  readonly log: Log;
  /** Of the node: sandboxes lie below it. */
  readonly home: string;
  readonly user: { readonly uid: number; readonly gid: number; readonly name: string };
  /** What every sandbox sees as `/.p2prc`. */
  readonly helper: string;
  readonly residentCommand: (...args: readonly string[]) => readonly string[];
  /** Where programs of the system are looked for first: a PATH. */
  readonly path: string;
}

/** @throws {Failure} not-supported */
export async function openBubblewrap(deps: BubblewrapDeps, signal: AbortSignal): Promise<BubblewrapRuntime> {
  const { clock, log, home, user, helper, residentCommand } = deps;
  const tools = await findTools(deps.path);
  if (tools === undefined) throw missing();
  const root = join(home, "sandboxes");
  await mkdir(root, { recursive: true, mode: 0o711 });
  const [bubblewrap, cgroups, host, seccomp, subIds] = await Promise.all([
    askBubblewrap(tools, signal),
    cgroupSources().then(openCgroups),
    lookAtHost(),
    writeSeccomp(join(home, "run"), arch()),
    user.uid === 0 ? undefined : grantedSubIds(user),
  ]);
  if (seccomp === undefined) {
    throw new Failure("not-supported", `no list of system calls is known for "${arch()}"`);
  }
  const granted = tools.newuidmap !== undefined && tools.newgidmap !== undefined ? subIds : undefined;
  const facts: RuntimeFacts = {
    kind: "bubblewrap",
    version: bubblewrap.version,
    walls: {
      userNamespace: true,
      seccomp: true,
      memoryLimit: cgroups.holds.has("memory"),
      pidsLimit: cgroups.holds.has("pids"),
      cpuLimit: cgroups.holds.has("cpu"),
      networkFilter: false,
      diskQuota: "watched",
      uidRange: user.uid === 0 || granted !== undefined,
    },
    images: "archives",
    problems: [...cgroups.problems],
  };
  const { disableUserns } = bubblewrap;
  return new BubblewrapRuntime(
    { clock, log, tools, cgroups, host, root, helper, residentCommand, seccomp, disableUserns, user, granted },
    facts,
  );
}

function missing(): Failure {
  return new Failure("not-supported", "sandboxes need bubblewrap and the tools of util-linux", {
    hint: "run `sudo apt install bubblewrap uidmap nftables passt`, or what your system calls them",
  });
}
