/** p2prc uninstall: leave nothing behind. */

import { existsSync } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { join, relative } from "node:path";
import { Failure } from "../../core/light.ts";
import { includeLine, isIncluded, removeInclude } from "../../sandbox/light.ts";
import { command } from "../command.ts";
import { describeStep, type Step } from "../install-plan.ts";
import { type Journal, readJournal, removeFolders, undoStep } from "../installed.ts";
import { confirm, type Io, printJson } from "../io.ts";
import { forgetService, stopService } from "../service.ts";

/** Each home that was used has one of them. */
const OWN_FILES = ["key", "installed.json", "daemon.stderr"];

interface Flags {
  readonly yes?: boolean;
  readonly keepHome?: boolean;
}

export const uninstall = command<Flags>({
  options: [
    { flags: "-y, --yes", summary: "do not ask" },
    { flags: "--keep-home", summary: "leave the home, with the key, the friends and the grants of this node" },
  ],
  about:
    "Ends the daemon, takes back all that `p2prc install` wrote, and removes the home. The key of this node is in it: without a copy the node is gone for ever.",
  examples: [
    { command: "p2prc uninstall", about: "shows what goes, and asks" },
    { command: "p2prc uninstall --keep-home --yes", about: "the node may come back" },
  ],
  json: { removed: "paths that were taken back", home: "the home", homeRemoved: "whether it is gone" },

  async run({ flags, home, json }, io) {
    const journal = await readJournal(home);
    await agree({ journal, home, flags }, io);
    await stopServices(journal, io);
    io.progress("waiting for the daemon to end");
    await io.stop(home);
    for (const step of journal.steps.toReversed()) if (step.kind !== "service") await undoStep(step);
    for (const step of services(journal)) await forgetService(step, io.machine);
    await removeInclude({ userHome: io.machine.userFolder, config: join(home, "ssh_config") });
    await removeFolders(journal.folders);
    if (flags.keepHome === true) await rm(`${home}/installed.json`, { force: true });
    else await removeHome(home, io);
    const removed = journal.steps.map(({ path }) => path);
    if (json) return printJson(io, { removed, home, homeRemoved: flags.keepHome !== true });
    io.out(
      flags.keepHome === true ? `uninstalled; the node is still in ${home}` : "uninstalled: nothing of it is left",
    );
  },
});

/** @throws {Failure} not-allowed */
async function agree(
  { journal, home, flags }: { readonly journal: Journal; readonly home: string; readonly flags: Flags },
  io: Io,
): Promise<void> {
  const gone = journal.steps.map((step) => `  ${describeStep(step)}`);
  const places = { userHome: io.machine.userFolder, config: join(home, "ssh_config") };
  if (await isIncluded(places))
    gone.push(`  ${join(places.userHome, ".ssh", "config")}: ${includeLine(places.config)}`);
  if (flags.keepHome !== true) gone.push(`  ${home}: the key of this node, its friends and grants, for ever`);
  io.err(["the daemon ends, and this is removed:", ...gone].join("\n"));
  if (flags.yes === true) return;
  const answer = await confirm(io, "go on?");
  if (answer === true) return;
  throw new Failure("not-allowed", answer === false ? "nothing was removed" : "nobody is here to agree", {
    hint: "`p2prc uninstall --yes` does not ask; `--keep-home` leaves the node's key",
  });
}

/** A folder that somebody named by mistake, or that holds their other things, is not ours to remove. @throws {Failure} home-unusable */
async function removeHome(home: string, io: Io): Promise<void> {
  if (!existsSync(home)) return;
  const entries = await readdir(home);
  const ours = entries.length === 0 || OWN_FILES.some((name) => entries.includes(name));
  if (!ours || !relative(home, io.machine.userFolder).startsWith("..")) {
    throw new Failure("home-unusable", `"${home}" does not look like a home of p2prc, and is left as it is`, {
      hint: "remove it by hand, if you must",
    });
  }
  await rm(home, { recursive: true, force: true, maxRetries: 5 });
}

async function stopServices(journal: Journal, io: Io): Promise<void> {
  for (const step of services(journal)) await stopService(step, { linger: journal.linger, machine: io.machine });
}

function services({ steps }: Journal): readonly Extract<Step, { readonly kind: "service" }>[] {
  return steps.filter((step) => step.kind === "service");
}
