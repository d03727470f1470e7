/** p2prc install: make it part of this machine, and write down how to take it back. */

import { Failure } from "../../core/light.ts";
import { command } from "../command.ts";
import { type Shell, shells } from "../completion-scripts.ts";
import { describeStep, installPlan, type Step } from "../install-plan.ts";
import { doStep, EMPTY, isDone, type Journal, missingFolders, readJournal, writeJournal } from "../installed.ts";
import { confirm, type Io, printJson } from "../io.ts";
import { startService } from "../service.ts";

interface Flags {
  readonly yes?: boolean;
  readonly service?: boolean;
}

export const install = command<Flags>({
  options: [
    { flags: "-y, --yes", summary: "do not ask" },
    { flags: "--no-service", summary: "without the service: this machine is then lent only while `p2prc serve` runs" },
  ],
  about:
    "Shows what it is about to write, and notes it in the home, so that `p2prc uninstall` takes all of it back. Doing it twice is the same as once.",
  examples: [
    { command: "p2prc install", about: "PATH, completion, a user service that survives logout" },
    { command: "p2prc install --no-service --yes", about: "for a machine that only uses others" },
  ],
  json: {
    written: "paths that were written",
    kept: "paths that were as they should be already",
    leftToDo: "commands for you to type",
  },

  async run({ flags, home, json }, io) {
    if (io.machine.platform === "win32") throw onWindows(io);
    const plan = installPlan(io.machine, { home, shells: await shellsHere(io), service: flags.service !== false });
    const before = await readJournal(home);
    const todo: Step[] = [];
    for (const step of plan) if (!(await isDone(step, before))) todo.push(step);
    const kept = plan.filter((step) => !todo.includes(step));
    await agree(todo, flags, io);
    const leftToDo = await carryOut(todo, { home, before }, io);
    if (json)
      return printJson(io, { written: todo.map(({ path }) => path), kept: kept.map(({ path }) => path), leftToDo });
    io.out(
      todo.every(({ kind }) => kind === "service")
        ? "all of it was there already"
        : "installed; `p2prc uninstall` takes it back",
    );
    for (const line of leftToDo) io.out(`left to you:  ${line}`);
  },
});

/** @throws {Failure} not-allowed */
async function agree(todo: readonly Step[], { yes }: Flags, io: Io): Promise<void> {
  if (todo.length === 0) return;
  io.err(["this will be put outside the home of p2prc:", ...todo.map((step) => `  ${describeStep(step)}`)].join("\n"));
  if (yes === true) return;
  const answer = await confirm(io, "go on?");
  if (answer === true) return;
  throw new Failure("not-allowed", answer === false ? "nothing was installed" : "nobody is here to agree", {
    hint: "`p2prc install --yes` does not ask",
  });
}

/** Notes each step before it is done. @returns the commands that are left to the person */
async function carryOut(
  todo: readonly Step[],
  { home, before }: { readonly home: string; readonly before: Journal },
  io: Io,
): Promise<readonly string[]> {
  let journal: Journal = { ...EMPTY, ...before };
  const leftToDo: string[] = [];
  for (const step of todo) {
    const others = journal.steps.filter(({ kind, path }) => kind !== step.kind || path !== step.path);
    journal = {
      ...journal,
      steps: [...others, step],
      folders: [...journal.folders, ...(await missingFolders(step.path))],
    };
    await writeJournal(home, journal);
    if (step.kind !== "service") {
      await doStep(step);
      continue;
    }
    const outcome = await startService(step, io.machine);
    leftToDo.push(...outcome.leftToDo);
    if (outcome.lingerTurnedOn) {
      journal = { ...journal, linger: true };
      await writeJournal(home, journal);
    }
  }
  return [...leftToDo, ...pathToDo(io)];
}

/** Most systems put ~/.local/bin into PATH at login, once it is there. */
function pathToDo({ machine }: Io): readonly string[] {
  const folder = `${machine.userFolder}/.local/bin`;
  if ((machine.environment["PATH"] ?? "").split(":").includes(folder)) return [];
  return [`export PATH="$HOME/.local/bin:$PATH"   # in this shell; a new login may have it by itself`];
}

async function shellsHere({ machine }: Io): Promise<readonly Shell[]> {
  const found = await Promise.all(
    shells.map(async (shell) => ((await machine.run("which", [shell])).code === 0 ? [shell] : [])),
  );
  return found.flat();
}

function onWindows({ machine }: Io): Failure {
  return new Failure("not-supported", "on Windows, p2prc does not install itself", {
    hint: `put the folder of p2prc into PATH (npm does so with \`npm install -g p2prc\`), and to lend at login let the Task Scheduler run: "${machine.node}" "${machine.bin}" serve`,
  });
}
