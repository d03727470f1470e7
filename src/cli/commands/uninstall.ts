/** p2prc uninstall: leave nothing behind. */

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { Failure } from "../../core/light.ts";
import { includeLine, isIncluded, removeInclude } from "../../sandbox/light.ts";
import { command } from "../command.ts";
import { type HomeState, lookIntoHome, removeHome } from "../home-removal.ts";
import { describeStep, type Step } from "../install-plan.ts";
import { type Journal, readJournal, removeFolders, undoStep } from "../installed.ts";
import { confirm, type Io, printJson } from "../io.ts";
import { forgetService, stopService } from "../service.ts";

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
    "Ends the daemon, takes back all that `p2prc install` wrote, ends the sandboxes that run here, and removes all that is P2PRC's in the home; other files there stay. The key of this node is in it: without a copy the node is gone for ever.",
  examples: [
    { command: "p2prc uninstall", about: "shows what goes, and asks" },
    { command: "p2prc uninstall --keep-home --yes", about: "the node may come back" },
  ],
  json: {
    removed: "paths that were taken back",
    home: "the home",
    homeRemoved: "whether it is gone",
    left: "what stays in it",
  },

  async run({ flags, home, json }, io) {
    const journal = await readJournal(home);
    const state = flags.keepHome === true ? undefined : await lookIntoHome(home, io.machine.userFolder);
    await agree({ journal, home, flags }, io);
    if (state === "used") await endSandboxes(home, io);
    await stopServices(journal, io);
    io.progress("waiting for the daemon to end");
    await io.stop(home);
    for (const step of journal.steps.toReversed()) if (step.kind !== "service") await undoStep(step);
    for (const step of services(journal)) await forgetService(step, io.machine);
    await removeInclude({ userHome: io.machine.userFolder, config: join(home, "ssh_config") });
    await removeFolders(journal.folders);
    const left = await clear(home, state);
    const removed = journal.steps.map(({ path }) => path);
    if (json) return printJson(io, { removed, home, homeRemoved: left?.length === 0, left: left ?? [] });
    if (left === undefined) return io.out(`uninstalled; the node is still in ${home}`);
    io.out(left.length === 0 ? "uninstalled: nothing of it is left" : "uninstalled");
    if (left.length > 0) io.err(`not removed from ${home}: ${left.join(", ")}`, "warn");
  },
});

/** @returns what stays in the home; undefined where all of it is to stay */
async function clear(home: string, state: HomeState | undefined): Promise<readonly string[] | undefined> {
  if (state !== undefined) return await removeHome(home, state);
  await rm(join(home, "installed.json"), { force: true });
  return undefined;
}

/** Before their folders go. What cannot be ended is told: a broken daemon must not keep anybody from uninstalling. */
async function endSandboxes(home: string, io: Io): Promise<void> {
  const told = (failure: unknown) => {
    if (!(failure instanceof Failure)) throw failure;
    io.err(`sandboxes of guests may still run here: ${failure.message}`, "warn");
  };
  try {
    await using client = await io.open({ home, quiet: true });
    await client.lend(false, io.signal); // nobody is to start another one meanwhile
    const { sandboxes } = await client.guests(io.signal);
    io.progress("ending the sandboxes of guests");
    for (const { sandbox } of sandboxes) await client.kickGuest(sandbox.id, io.signal).catch(told);
  } catch (error) {
    told(error);
  }
}

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

async function stopServices(journal: Journal, io: Io): Promise<void> {
  for (const step of services(journal)) await stopService(step, { linger: journal.linger, machine: io.machine });
}

function services({ steps }: Journal): readonly Extract<Step, { readonly kind: "service" }>[] {
  return steps.filter((step) => step.kind === "service");
}
