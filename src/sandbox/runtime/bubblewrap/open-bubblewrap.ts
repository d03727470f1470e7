/** Finds out whether sandboxes can be made by bubblewrap here, which walls hold, and what a person can do for the others. */

import { mkdir, stat } from "node:fs/promises";
import { arch } from "node:os";
import { join } from "node:path";
import type { Clock, Log } from "../../../base/index.ts";
import { Failure } from "../../../core/index.ts";
import type { RuntimeFacts } from "../runtime.ts";
import { BubblewrapRuntime } from "./bubblewrap-runtime.ts";
import { lookAtHost } from "./host-system.ts";
import { cgroupSources, openCgroups } from "./open-cgroups.ts";
import { filterRules } from "./filter.ts";
import { currentClosed } from "./network.ts";
import { runTool } from "./run-tool.ts";
import { nameserverOf } from "./uplink.ts";
import { ImageStore } from "./images/image-store.ts";
import { NOBODY, tryNamespaces } from "./try-namespaces.ts";
import { UserBook } from "./user-book.ts";
import { writeSeccomp } from "./seccomp-file.ts";
import { askBubblewrap, findTools, type Tools } from "./tools.ts";
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
  /** For tests: other programs than those that are found. */
  readonly changeTools?: (found: Tools) => Tools;
}

/** @throws {Failure} not-supported */
export async function openBubblewrap(deps: BubblewrapDeps, signal: AbortSignal): Promise<BubblewrapRuntime> {
  const { clock, log, home, user, helper, residentCommand } = deps;
  const found = await findTools(deps.path);
  if (found === undefined) throw missing();
  const tools = deps.changeTools?.(found) ?? found;
  const root = join(home, "sandboxes");
  await mkdir(root, { recursive: true, mode: 0o711 });
  const [bubblewrap, cgroups, host, seccomp, subIds, filter] = await Promise.all([
    askBubblewrap(tools, signal),
    cgroupSources().then(openCgroups),
    lookAtHost(),
    writeSeccomp(join(home, "run"), arch()),
    user.uid === 0 ? undefined : grantedSubIds(user),
    whyNoFilter(tools, signal),
    tryNamespaces(tools, signal),
  ]);
  if (seccomp === undefined) {
    throw new Failure("not-supported", `no list of system calls is known for "${arch()}"`);
  }
  const granted = tools.newuidmap !== undefined && tools.newgidmap !== undefined ? subIds : undefined;
  const uidRange = user.uid === 0 || granted !== undefined;
  const facts: RuntimeFacts = {
    kind: "bubblewrap",
    version: bubblewrap.version,
    walls: {
      userNamespace: true,
      seccomp: true,
      memoryLimit: cgroups.holds.has("memory"),
      pidsLimit: cgroups.holds.has("pids"),
      cpuLimit: cgroups.holds.has("cpu"),
      networkFilter: filter === undefined,
      diskQuota: "watched",
      uidRange,
    },
    images: "archives",
    problems: [...cgroups.problems, ...(filter === undefined ? [] : [filter]), ...(uidRange ? [] : [NO_RANGE])],
  };
  const { disableUserns } = bubblewrap;
  const folder = join(home, "images");
  const users = new UserBook({ root, images: folder, user, granted });
  const images = new ImageStore({ tools, host, folder, chooseUsers: () => users.choose("dev") });
  const parts = { clock, log, tools, cgroups, host, root, helper, residentCommand, seccomp, disableUserns };
  return new BubblewrapRuntime({ ...parts, user, users, images }, facts);
}

const NO_RANGE =
  "This user has no range of user ids, so sandboxes have one user alone and `apt` does not work in them: run `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`.";
const INSTALL = "`sudo apt install nftables passt`";

/** @returns what stands in the way of a filtered network, for people, or undefined. Tried, and not guessed. */
async function whyNoFilter(tools: Tools, signal: AbortSignal): Promise<string | undefined> {
  const { nft, pasta, slirp4netns } = tools;
  if (nft === undefined) return `Sandboxes have no network, since nft is not installed: run ${INSTALL}.`;
  if (pasta === undefined && slirp4netns === undefined) {
    return `Sandboxes have no network, since neither pasta nor slirp4netns is installed: run ${INSTALL}.`;
  }
  const mode = await stat(TUN).then(
    (found) => found.mode,
    () => 0, // not there
  );
  if ((mode & FOR_ALL) !== FOR_ALL) {
    return `Sandboxes have no network, since ${TUN} is not for everybody here as it is elsewhere: run \`sudo modprobe tun && sudo chmod 666 ${TUN}\`. Every user of this machine may open it then, as most distributions have it.`;
  }
  const uid = process.getuid?.() === 0 ? NOBODY : undefined;
  const enter = [tools.unshare, "--user", "--map-root-user", "--net", "--"] as const;
  try {
    await runTool(
      [...enter, nft, "-f", "-"],
      { uid, input: filterRules(currentClosed(), nameserverOf(tools)) },
      signal,
    );
    return undefined;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    return `Sandboxes have no network, since their filter does not load: ${error.message}.`;
  }
}

/** What pasta and slirp4netns speak to the kernel through; udev makes it so that everybody may, since it takes a namespace of one's own. */
const TUN = "/dev/net/tun";
const FOR_ALL = 0o006;

function missing(): Failure {
  return new Failure("not-supported", "sandboxes need bubblewrap and the tools of util-linux", {
    hint: "run `sudo apt install bubblewrap uidmap nftables passt`, or what your system calls them",
  });
}
