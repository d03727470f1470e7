/** A plugin on its sandboxes: the folder of the run, the walls where they are due, Ansible, and what is kept of it. */

import { access, chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { getuid } from "node:process";
import type { Duplex } from "node:stream";
import { type Clock, type Random, Scope } from "../base/index.ts";
import { Failure } from "../core/index.ts";
import { confine, CONFINED_SSH, confinedFiles, findBubblewrap, PERSIST_S, WORK } from "./confine.ts";
import type { StoredPlugin } from "./contract.ts";
import type { PlaybookEvent } from "./events.ts";
import { Gate } from "./gate.ts";
import { sandboxOf } from "./host-names.ts";
import type { Target } from "./needs.ts";
import { Progress } from "./progress.ts";
import type { Run, RunBook } from "./run-book.ts";
import { type RunFiles, writeRunFiles } from "./run-files.ts";
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
  const begun = working.map((target) => target.id);
  // What was only looked at is nothing to go on with.
  const keep = async (rest: Omit<Run, keyof typeof record>) => {
    if (!wish.check) await deps.runs.write({ ...record, ...rest });
  };
  await keep(withBefore(wish, { left: begun, startAt: wish.startAt }));
  // Behind the walls nobody is root, and a root's own folders are closed to others.
  const roomy = uid() === 0 ? "/tmp" : tmpdir();
  const work = own ? join(kept, "work") : await mkdtemp(join(roomy, "p2prc-run-"));
  const scope = new Scope();
  scope.defer(() => rm(work, { recursive: true, force: true }));
  try {
    await mkdir(work, { recursive: true, mode: 0o700 });
    await writeRunFiles(work, { ...wish, sshConfig: own ? ownSsh(deps.sshConfig) : CONFINED_SSH });
    const words = [ansible, ...playbookWords(wish)];
    const place =
      bwrap === undefined
        ? { argv: words, env: ownEnvironment(deps.environment, work), user: undefined }
        : await behindWalls(
            deps,
            { bwrap, work, words, targets: working, timeLimitMs: wish.timeLimitMs, scope },
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
    const { hosts, startAt } = progress.unfinished();
    const left = working.filter(({ name }) => hosts.includes(name)).map((target) => target.id);
    await keep(withBefore(wish, { left, startAt: startAt ?? wish.startAt }));
    return { ...end, run: id, log, progress };
  } finally {
    await scope.close();
  }
}

/** What is left to do, with what was left of the run that is gone on with and is not worked on now. */
function withBefore(
  { targets, before }: PluginWish,
  { left, startAt }: { readonly left: readonly string[]; readonly startAt: string | undefined },
): Pick<Run, "targets" | "unfinished" | "startAt"> {
  const working = targets.map(({ id }) => id);
  const elsewhere = (before?.unfinished ?? []).filter((id) => !working.includes(id));
  return {
    targets: [...new Set([...(before?.targets ?? []), ...working])],
    unfinished: [...elsewhere, ...left],
    startAt: elsewhere.length > 0 ? before?.startAt : startAt,
  };
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

function ownSsh(config: string): string {
  const quoted = config.replaceAll("\\", "\\\\").replaceAll('"', '\\"');
  const first = `Host *.p2prc\n  BatchMode yes\n  LogLevel ERROR\n  ControlPersist ${PERSIST_S}\n`; // what comes first counts
  return `${first}Match all\nInclude "${quoted}"\n`;
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
  readonly bwrap: string;
  readonly work: string;
  readonly words: readonly string[];
  readonly targets: readonly Target[];
  readonly timeLimitMs: number;
  readonly scope: Scope;
}

async function behindWalls(deps: RunPluginDeps, walled: Walled, signal: AbortSignal) {
  const { bwrap, work, words, targets, scope } = walled;
  const [program = "", ...rest] = words;
  const key = deps.makeKey();
  for (const [name, content] of Object.entries(confinedFiles(targets, key.privateFile))) {
    await writeFile(join(work, name), content, { mode: 0o600 });
  }
  await chmod(work, 0o700);
  const { argv, user } = await confine({ bwrap, folder: work, program }, uid());
  scope.own(
    await Gate.open({
      path: join(work, "gate"),
      targets: new Set(targets.map(({ id }) => id)),
      open: deps.open,
    }),
  );
  const until = deps.clock.wallTime() + walled.timeLimitMs + KEY_GRACE_MS;
  const line = keyLine(key.publicLine, until);
  scope.defer(async () => {
    const { signal: whole } = new AbortController();
    await Promise.allSettled(targets.map((target) => deps.shell(target, dropKey(line), whole)));
  });
  await Promise.all(targets.map((target) => deps.shell(target, `umask 077; echo '${line}' >> ${KEYS}`, signal)));
  const env = {
    PATH: "/usr/bin:/bin:/usr/sbin:/sbin",
    HOME: "/tmp/home",
    ANSIBLE_CONFIG: `${WORK}/ansible.cfg`,
    ...LOCALE,
  };
  return { argv: [...argv, program, ...rest], env, user };
}

/** Plugins of others run on Linux alone, where there is one. */
function uid(): number {
  return getuid?.() ?? 0;
}

/** Where sshd of a sandbox looks for keys. */
const KEYS = "/run/p2prc/authorized_keys";
/** sshd compares with the time of its own zone, and clocks differ. */
const KEY_GRACE_MS = 26 * 3_600_000;

function keyLine(publicLine: string, until: number): string {
  const time = new Date(until).toISOString().replaceAll(/[-:T]/gu, "").slice(0, 12);
  return `restrict,expiry-time="${time}" ${publicLine}`;
}

/** Of a disk that is full nothing takes the place of the keys: nobody could get in any more. */
function dropKey(line: string): string {
  const rest = `${KEYS}.$$`;
  return `umask 077; grep -vF '${line.split(" ").at(-1)}' ${KEYS} > ${rest} && mv ${rest} ${KEYS} || rm -f ${rest}`;
}
