/** A plugin on its sandboxes: the folder of the run, the walls where they are due, Ansible, and what is kept of it. */

import { access, chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { getuid } from "node:process";
import type { Duplex } from "node:stream";
import { type Clock, type Random, Scope, within } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { confine, confinedFiles, confinedSsh, findBubblewrap, WORK } from "./confine.ts";
import type { StoredPlugin } from "./contract.ts";
import type { PlaybookEvent } from "./events.ts";
import { Gate } from "./gate.ts";
import { leftAfter } from "./going-on.ts";
import { sandboxOf } from "./host-names.ts";
import type { Target } from "./needs.ts";
import { hangUp, ownSsh } from "./own-ssh.ts";
import { Progress } from "./progress.ts";
import type { Run, RunBook } from "./run-book.ts";
import { type RunFiles, writeRunFiles } from "./run-files.ts";
import { endCommands, putKey, runsIn, takeKeys } from "./run-inside.ts";
import { type PlaybookEnd, runPlaybook } from "./run-playbook.ts";

export interface RunPluginDeps {
  readonly runs: RunBook;
  readonly clock: Clock;
  readonly random: Random;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of the home; `ssh -F` of it finds every sandbox. */
  readonly sshConfig: string;
  /** A stream to the SSH server of a sandbox. */
  readonly open: (target: string, signal: AbortSignal) => Promise<Duplex>;
  /** Runs a line of `sh` in a sandbox. @throws {Failure} */
  readonly shell: (target: Target, line: string, signal: AbortSignal) => Promise<string>;
  readonly makeKey: () => { readonly publicLine: string; readonly privateFile: string };
  readonly onEvent: (event: PlaybookEvent, progress: Progress) => void;
  readonly warn: (words: string) => void;
}

export interface PluginWish extends Omit<RunFiles, "sshConfig"> {
  readonly check: boolean;
  readonly diff: boolean;
  readonly timeLimitMs: number;
  /** The run that is gone on with, and the task to begin at. */
  readonly before?: Run | undefined;
  readonly startAt?: string | undefined;
}

export interface PluginOutcome extends PlaybookEnd {
  readonly run: string;
  readonly log: string;
  readonly progress: Progress;
  /** Sandboxes in which what it was at could not be ended with it. */
  readonly goesOn: readonly string[];
}

/** Whether it is trusted as its own person is: it was added from a folder of this machine. */
export function isOwn({ origin }: Pick<StoredPlugin, "origin">): boolean {
  return origin.kind === "folder";
}

/** @throws {Failure} not-supported: Ansible or the walls are missing */
export async function runPlugin(deps: RunPluginDeps, wish: PluginWish, signal: AbortSignal): Promise<PluginOutcome> {
  const ansible = await findAnsible(deps.environment["PATH"] ?? "");
  const own = isOwn(wish.plugin);
  const bwrap = own ? undefined : await findBubblewrap(deps.environment["PATH"] ?? "");
  const { id, folder: kept } = await deps.runs.open(deps.clock.wallTime(), deps.random.bytes(4));
  const working = wish.targets;
  const progress = new Progress(working.map(({ name }) => name));
  const log = join(kept, "log");
  const record = { id, plugin: wish.plugin.name, digest: wish.plugin.digest, values: wish.values };
  // What was only looked at is nothing to go on with.
  const keep = async () => {
    if (!wish.check) await deps.runs.write({ ...record, ...leftAfter(wish, progress) });
  };
  await keep();
  // Behind the walls nobody is root, and a root's own folders are closed to others.
  const work = await mkdtemp(join(uid() === 0 ? "/tmp" : tmpdir(), "p2prc-run-"));
  const scope = new Scope();
  scope.defer(() => deps.runs.leave(id));
  scope.defer(() => rm(work, { recursive: true, force: true }));
  scope.defer(() => hangUp(work));
  try {
    await deps.runs.enter(id, work);
    await writeRunFiles(work, { ...wish, sshConfig: own ? ownSsh(deps.sshConfig, { id, work }) : confinedSsh(id) });
    const words = [ansible, ...playbookWords(wish)];
    const place =
      bwrap === undefined
        ? { argv: words, env: ownEnvironment(deps.environment, work), user: undefined }
        : await behindWalls(
            deps,
            { id, bwrap, work, words, targets: working, forks: wish.forks, timeLimitMs: wish.timeLimitMs, scope },
            signal,
          );
    const end = await runPlaybook(
      {
        clock: deps.clock,
        onEvent: (heard) => {
          const event = "host" in heard ? { ...heard, host: sandboxOf(heard.host) ?? "" } : heard;
          progress.take(event);
          deps.onEvent(event, progress);
        },
      },
      { ...place, cwd: work, log, timeLimitMs: wish.timeLimitMs },
      signal,
    );
    await keep();
    const ended = end.timedOut || signal.aborted;
    return {
      ...end,
      tail: end.tail.replaceAll(join(own ? work : WORK, "plugin", "/"), ""), // a folder that is gone then
      run: id,
      log,
      progress,
      goesOn: ended ? await endInside(deps, { id, targets: working, progress }) : [],
    };
  } finally {
    await scope.close();
  }
}

/** Where `ansible-playbook` is. @throws {Failure} not-supported */
export async function findAnsible(path: string): Promise<string> {
  for (const folder of path.split(delimiter).filter((one) => one !== "")) {
    const program = join(folder, "ansible-playbook");
    const found = await access(program).then(
      () => true,
      () => false,
    );
    if (found) return program;
  }
  throw new Failure("not-supported", "there is no ansible-playbook on this machine, which plugins are run with", {
    hint: "install it: `sudo apt-get install ansible-core`, `sudo dnf install ansible-core`, `brew install ansible` or `pipx install ansible-core`",
  });
}

function playbookWords({ plugin, check, diff, startAt }: PluginWish): readonly string[] {
  return [
    join("plugin", plugin.playbook),
    ...["--extra-vars", "@variables.yml"],
    ...(check ? ["--check"] : []),
    ...(diff ? ["--diff"] : []),
    // Ansible reads it as a pattern of file names.
    ...(startAt === undefined ? [] : ["--start-at-task", startAt.replaceAll(/[*?[]/gu, "[$&]")]),
  ];
}

/** The person's own, but for what would turn Ansible another way. */
function ownEnvironment(environment: RunPluginDeps["environment"], work: string): Record<string, string> {
  const kept = Object.entries(environment).flatMap(([key, value]) =>
    value === undefined || key.startsWith("ANSIBLE_") ? [] : [[key, value] as const],
  );
  return { ...Object.fromEntries(kept), ANSIBLE_CONFIG: join(work, "ansible.cfg"), ...LOCALE };
}

/** Ansible wants one in UTF-8. */
const LOCALE = { LC_ALL: "C.UTF-8" };

interface Walled {
  readonly id: string;
  readonly bwrap: string;
  readonly work: string;
  readonly words: readonly string[];
  readonly targets: readonly Target[];
  readonly forks: number;
  readonly timeLimitMs: number;
  readonly scope: Scope;
}

async function behindWalls(deps: RunPluginDeps, walled: Walled, signal: AbortSignal) {
  const { id, bwrap, work, words, targets, scope } = walled;
  const [program = "", ...rest] = words;
  const key = deps.makeKey();
  for (const [name, content] of Object.entries(confinedFiles(targets, key.privateFile))) {
    await writeFile(join(work, name), content, { mode: 0o600 });
  }
  await chmod(work, 0o700);
  const { argv, user } = await confine({ bwrap, folder: work, program, maxProcesses: roomFor(walled) }, uid());
  scope.own(
    await Gate.open({
      path: join(work, "gate"),
      targets: new Set(targets.map(({ id }) => id)),
      open: deps.open,
    }),
  );
  const untilMs = deps.clock.wallTime() + walled.timeLimitMs;
  const line = putKey({ run: id, publicLine: key.publicLine, untilMs });
  scope.defer(async () => void (await onAll(deps, { targets, line: takeKeys([id]) })));
  await Promise.all(
    targets.map(async (target) => {
      try {
        await soon(deps.clock, (putting) => enter(deps, { id, target, line }, putting), signal);
      } catch (error) {
        if (!(error instanceof Failure) || targets.length === 1) throw error;
        deps.warn(`${target.name}: ${error.message}`); // Ansible cannot reach it then, and goes on with the others
      }
    }),
  );
  const env = {
    PATH: "/usr/bin:/bin:/usr/sbin:/sbin",
    HOME: "/tmp/home",
    ANSIBLE_CONFIG: `${WORK}/ansible.cfg`,
    ...LOCALE,
  };
  return { argv: [...argv, program, ...rest], env, user };
}

/** Puts the key of the run into a sandbox, and takes away those of runs that are over. @throws {Failure} */
async function enter(
  { runs, shell }: Pick<RunPluginDeps, "runs" | "shell">,
  { id, target, line }: { readonly id: string; readonly target: Target; readonly line: string },
  signal: AbortSignal,
): Promise<void> {
  const others = runsIn(await shell(target, line, signal)).filter((run) => run !== id);
  const over = await runs.over(others);
  if (over.length > 0) await shell(target, takeKeys(over), signal);
}

/** Plugins of others run on Linux alone, where there is one. */
function uid(): number {
  return getuid?.() ?? 0;
}

/** A connection is an ssh, what passes it through the gate, and one that stays; a fork has a worker and a shell besides. */
function roomFor({ targets, forks }: Walled): number {
  return 256 + 8 * (targets.length + forks);
}

/** @returns those in which it could not be done */
async function endInside(
  deps: RunPluginDeps,
  { id, targets, progress }: { readonly id: string; readonly targets: readonly Target[]; readonly progress: Progress },
): Promise<readonly string[]> {
  const unfinished = progress.unfinished();
  return await onAll(deps, { targets: targets.filter(({ name }) => unfinished.has(name)), line: endCommands(id) });
}

/** Also after Ctrl-C. @returns the sandboxes in which it could not be done */
async function onAll(
  { clock, shell }: Pick<RunPluginDeps, "clock" | "shell">,
  { targets, line }: { readonly targets: readonly Target[]; readonly line: string },
): Promise<readonly string[]> {
  const { signal } = new AbortController();
  const done = await Promise.allSettled(
    targets.map((target) => soon(clock, (parting) => shell(target, line, parting), signal)),
  );
  return targets.filter((_, index) => done[index]?.status === "rejected").map(({ name }) => name);
}

/** One that is frozen says nothing. */
const ANSWER_MS = 10_000;

async function soon<T>(clock: Clock, work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
  const late = () => new Failure("timed-out", "it does not answer");
  return await within({ clock, timeoutMs: ANSWER_MS, late }, work, signal);
}
