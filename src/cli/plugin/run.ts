/** p2prc plugin run: one plugin, on a sandbox or on all of a group. */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { systemRandom } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { cleanText, Failure } from "../../core/light.ts";
import type { PluginOutcome, PluginStore, Run, StoredPlugin, Target, Values } from "../../plugin/index.ts";
import { opensshKey } from "../../sandbox/light.ts";
import { confirm, type Io, printJson } from "../io.ts";
import { openAddresses } from "./addresses.ts";
import { Grid } from "./grid.ts";
import { choosePorts, makeReady, shellIn, targetsOf } from "./targets.ts";

export interface RunWish {
  readonly store: PluginStore;
  readonly plugin: string;
  readonly word: string;
  readonly given: Values;
  readonly check: boolean;
  readonly diff: boolean;
  readonly forks: number;
  readonly resume: boolean;
  readonly yes: boolean;
  readonly anyway: boolean;
  readonly timeLimitMs: number;
  readonly json: boolean;
  readonly home: string;
}

/** ansible-playbook's own codes (its `cli/playbook.py`): 2 failed hosts, 4 unreachable or a playbook that cannot be read. */
const TIMED_OUT = 4;

/** @returns an exit code @throws {Failure} what keeps it from the first task */
export async function runNamedPlugin(client: Client, { store, ...wish }: RunWish, io: Io): Promise<number> {
  const { findAnsible, goOn, parameterValues, portsAskedFor, RunBook } = await import("../../plugin/index.ts");
  const plugin = await store.find(wish.plugin);
  await findAnsible(io.machine.environment["PATH"] ?? "");
  const targets = await targetsOf(client, wish.word, io);
  const runs = new RunBook(wish.home);
  const before = wish.resume ? await lastRun(runs, { plugin, targets, word: wish.word }) : undefined;
  const going = goOn(before, { plugin, targets });
  if (going.targets.length === 0) {
    io.out(`${plugin.name} has come to its end on ${targets.length === 1 ? wish.word : `all of ${wish.word}`} already`);
    return 0;
  }
  const values = parameterValues(plugin.parameters, { ...before?.values, ...wish.given });
  const playbook = await readFile(join(store.filesOf(plugin.name), plugin.playbook), "utf8");
  await askFirst(plugin, { store, yes: wish.yes }, io);
  const { anyway, check } = wish;
  await makeReady(client, { plugin, playbook, targets: going.targets, anyway, check }, io);
  const asked = Math.max(plugin.ports.length, plugin.form === "seed" ? portsAskedFor(playbook) : 0);
  const wanted = Array.from({ length: asked }, (_, index) => plugin.ports[index]?.port);
  const order = {
    plugin,
    files: store.filesOf(plugin.name),
    targets: going.targets,
    values,
    ports: choosePorts(wanted, targets),
  };
  return await run(client, { wish, order, runs, before, startAt: going.startAt }, io);
}

interface Ordered {
  readonly wish: Omit<RunWish, "store">;
  readonly order: {
    readonly plugin: StoredPlugin;
    readonly files: string;
    readonly targets: readonly Target[];
    readonly values: Values;
    readonly ports: readonly number[];
  };
  readonly runs: InstanceType<typeof import("../../plugin/index.ts").RunBook>;
  readonly before: Run | undefined;
  readonly startAt: string | undefined;
}

async function run(client: Client, { wish, order, runs, before, startAt }: Ordered, io: Io): Promise<number> {
  const { runPlugin } = await import("../../plugin/index.ts");
  const grid = new Grid(io);
  const { check, diff, forks, timeLimitMs, json } = wish;
  io.progress(
    `starting Ansible on ${order.targets.length === 1 ? order.targets[0]?.name : `${order.targets.length} sandboxes`}`,
  );
  const outcome = await runPlugin(
    {
      runs,
      clock: io.clock,
      random: systemRandom,
      environment: io.machine.environment,
      sshConfig: join(wish.home, "ssh_config"),
      open: (target, signal) => client.stream(`box-ssh:${target}`, signal),
      shell: (target, line, signal) => shellIn(client, { target, line }, signal),
      makeKey: () => opensshKey(systemRandom.bytes(32), systemRandom.bytes(4)),
      warn: (words) => io.err(words, "warn"),
      onEvent: (event, progress) => (json ? printJson(io, event) : grid.show(event, progress)),
    },
    { ...order, check, diff, forks, timeLimitMs, before, startAt },
    io.signal,
  );
  const addresses =
    check || io.signal.aborted ? new Map<string, string[]>() : await openAddresses(client, { ...order, outcome }, io);
  if (json) printJson(io, summaryOf(outcome, addresses));
  else if (hasBegun(outcome)) grid.end(outcome.progress, addresses);
  return tellEnd(outcome, { wish, order }, io);
}

function tellEnd(outcome: PluginOutcome, { wish, order }: Pick<Ordered, "wish" | "order">, io: Io): number {
  const left = [...outcome.progress.unfinished().keys()];
  if (left.length === 0 && outcome.code === 0) return 0;
  if (!hasBegun(outcome)) for (const line of lastLines(outcome.tail)) io.err(line, "bad");
  if (outcome.timedOut)
    io.err(`it took longer than ${wish.timeLimitMs / 1_000} s and was ended; \`--time-limit\` gives it more`, "bad");
  for (const name of outcome.goesOn) {
    io.err(`what it was at may go on in ${name}; \`p2prc exec ${name} -- ps -e\` shows what runs there`, "warn");
  }
  io.err(`all that Ansible said: ${outcome.log}`);
  const word = left.length === 1 ? left[0] : wish.word;
  // What was only looked at is kept nowhere.
  if (left.length > 0 && !wish.check) io.err(`again: p2prc plugin run ${order.plugin.name} ${word} --resume`);
  return exitCodeOf(outcome, io);
}

function exitCodeOf({ timedOut, code }: PluginOutcome, io: Io): number {
  if (timedOut) return TIMED_OUT;
  if (io.signal.aborted || code === undefined) return BROKEN_OFF;
  return code === 0 ? LEFT_UNDONE : code;
}

/** 128 + SIGINT, as shells have it. */
const BROKEN_OFF = 130;
/** As Ansible has it for hosts that it did not reach: it ended well, and not everything was done. */
const LEFT_UNDONE = 4;

function hasBegun({ progress }: PluginOutcome): boolean {
  return progress.hosts.some(({ cells }) => cells.length > 0);
}

/** From Ansible's own last complaint on. */
function lastLines(tail: string): readonly string[] {
  return tail
    .slice(Math.max(0, tail.lastIndexOf("ERROR!")))
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(0, 12)
    .map((line) => `${/^ */u.exec(line)?.[0] ?? ""}${cleanText(line, 300)}`); // Ansible points with a ^
}

function summaryOf(
  { run: id, log, code, timedOut, progress }: PluginOutcome,
  addresses: ReadonlyMap<string, readonly string[]>,
) {
  const hosts = progress.hosts.map(({ host, done, failure }) => ({
    name: host,
    done: done === true,
    ...(failure === undefined ? {} : { task: progress.nameOf(failure.task), words: failure.words, exit: failure.code }),
    urls: addresses.get(host) ?? [],
  }));
  return { kind: "end", run: id, log, exit: code, timedOut, hosts };
}

/** What it is, the first time that somebody else's plugin is run, and each time that it is another. @throws {Failure} not-allowed */
async function askFirst(plugin: StoredPlugin, { store, yes }: Pick<RunWish, "store" | "yes">, io: Io): Promise<void> {
  const { isOwn } = await import("../../plugin/index.ts");
  if (isOwn(plugin) || plugin.agreed === plugin.digest) return;
  const { origin } = plugin;
  const commit = origin.kind === "git" ? ` at ${origin.commit.slice(0, 12)}` : "";
  io.err(`${plugin.name}: ${plugin.description === "" ? "it does not say what it does" : plugin.description}`, "bold");
  io.err(`from ${cleanText(origin.place, 200)}${commit}; its files: ${store.filesOf(plugin.name)}`);
  io.err("It does in your sandboxes what it wants, and here nothing: it runs behind walls, without a network.");
  const agreed = yes || (await confirm(io, `run ${plugin.name}?`));
  if (agreed !== true) {
    throw new Failure("not-allowed", `${plugin.name} was not run: nobody has said that it may`, {
      hint: agreed === undefined ? "look into it, and say so with --yes" : undefined,
    });
  }
  await store.agree(plugin);
}

/** @throws {Failure} not-found */
async function lastRun(
  runs: Ordered["runs"],
  {
    plugin,
    targets,
    word,
  }: { readonly plugin: StoredPlugin; readonly targets: readonly Target[]; readonly word: string },
): Promise<Run> {
  const ids = targets.map(({ id }) => id);
  const last = await runs.last(plugin.name, ids);
  if (last !== undefined) return last;
  const before = await Promise.all(ids.map((id) => runs.last(plugin.name, [id])));
  const fresh = targets.filter((_, index) => before[index] === undefined);
  // One that has come to a group since then.
  const place = fresh.length < targets.length ? (fresh[0]?.name ?? word) : word;
  throw new Failure(
    "not-found",
    `${plugin.name} has not been run on ${place} before, so there is nothing to go on with`,
    {
      hint: `run it with \`p2prc plugin run ${plugin.name} ${place}\``,
    },
  );
}
