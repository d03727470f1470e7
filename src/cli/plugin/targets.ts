/** From what was typed to the sandboxes that a plugin is to run on, looked into and fit for it. */

import { within } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { cleanText, Failure } from "../../core/light.ts";
import type { Inside, StoredPlugin, Target } from "../../plugin/index.ts";
import type { Box } from "../../sandbox/index.ts";
import { atMost, groupCalled, livingOf } from "../group-work.ts";
import type { Io } from "../io.ts";

/** Of a sandbox that says more than was asked. */
const MAX_SAID = 64 * 1_024;
const AT_ONCE = 32;
/** One that is frozen says nothing. */
const LOOK_MS = 20_000;

/** @throws {Failure} not-found, not-supported where a sandbox has no SSH */
export async function targetsOf(client: Client, word: string, io: Io): Promise<readonly Target[]> {
  const group = await groupCalled(client, word, io.signal);
  const boxes = group === undefined ? [await client.box(word, io.signal)] : livingOf(group, io);
  return boxes.map(targetOf);
}

function targetOf({ sandbox, node, ports }: Box): Target {
  const { id, name, user, hostKey, cpus, memoryBytes, gpus, network, sshProblem } = sandbox;
  if (hostKey === undefined) {
    throw new Failure("not-supported", `there is no ssh in ${name}: ${sshProblem ?? "its node does not say why"}`, {
      hint: "a plugin is run over ssh; start a sandbox on another node",
    });
  }
  const inside = ports.map((port) => port.internal);
  return { id, name, node: node.name, user, hostKey, cpus, memoryBytes, gpus: gpus.length, network, ports: inside };
}

/** Runs a line of `sh`, without input. @returns what it said @throws {Failure} runtime-failed */
export async function shellIn(
  client: Client,
  { target, line }: { readonly target: Target; readonly line: string },
  signal: AbortSignal,
): Promise<string> {
  await using exec = await client.exec(target.id, { argv: ["sh", "-c", line], env: {} }, signal);
  await exec.send("stdinEnd");
  let said = "";
  for await (const { kind, content } of exec.frames()) {
    if (kind === "stdout" || kind === "stderr") said = `${said}${content.toString("utf8")}`.slice(0, MAX_SAID);
    if (kind !== "end") continue;
    const { code } = JSON.parse(content.toString("utf8")) as { readonly code?: number };
    if (code === 0) return said;
    throw new Failure("runtime-failed", `${target.name} cannot be made ready: ${cleanText(said, 300)}`);
  }
  throw new Failure("link-lost", `${target.name} was cut off`);
}

interface Checked {
  readonly plugin: StoredPlugin;
  readonly playbook: string;
  readonly targets: readonly Target[];
  /** Whatever it needs: the person knows better. */
  readonly anyway: boolean;
  /** Nothing may be changed. */
  readonly check: boolean;
}

/** Refused before the first task, with what mends it; a Python that is missing is brought. @throws {Failure} not-supported */
export async function makeReady(
  client: Client,
  { plugin, playbook, targets, ...wish }: Checked,
  io: Io,
): Promise<void> {
  const { canBringPython, LOOK_INSIDE, needsOf, readInside, unmetNeeds } = await import("../../plugin/index.ts");
  const needs = needsOf(plugin, playbook);
  const insides = new Map<string, Inside>();
  const failed: Failure[] = [];
  await atMost(AT_ONCE, targets, async (target) => {
    io.progress(`looking into ${target.name}`);
    const late = () => new Failure("timed-out", `${target.name} does not answer`);
    try {
      const look = (signal: AbortSignal) => shellIn(client, { target, line: LOOK_INSIDE }, signal);
      const said = await within({ clock: io.clock, timeoutMs: LOOK_MS, late }, look, io.signal);
      insides.set(target.id, readInside(said));
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failed.push(error);
      if (targets.length > 1) io.err(`${target.name}: ${error.message}`, "warn");
    }
  });
  // Where some are left, Ansible goes on with them, and counts the others as unreachable.
  if (insides.size === 0 && failed[0] !== undefined) throw failed[0];
  for (const target of wish.anyway ? [] : targets) {
    const inside = insides.get(target.id);
    const [first] = inside === undefined ? [] : unmetNeeds(needs, target, inside);
    if (first === undefined) continue;
    throw new Failure("not-supported", `${plugin.name} cannot run on ${target.name}: it ${first.why}`, {
      hint: `start one that fits with \`${first.fix}\`, or run it all the same with --anyway`,
    });
  }
  const bare = targets.filter(({ id }) => {
    const inside = insides.get(id);
    return inside !== undefined && !inside.python && canBringPython(inside);
  });
  if (bare.length > 0) await bringPython(client, { plugin, targets: bare, check: wish.check }, io);
}

/** @throws {Failure} not-supported under --check, runtime-failed: apt does not find it */
async function bringPython(
  client: Client,
  { plugin, targets, check }: Pick<Checked, "plugin" | "targets" | "check">,
  io: Io,
): Promise<void> {
  const { BRING_PYTHON } = await import("../../plugin/index.ts");
  const names = targets.map(({ name }) => name).join(", ");
  if (check) {
    throw new Failure("not-supported", `${plugin.name} cannot be tried on ${names}: there is no python3 yet`, {
      hint: "a run without --check installs it; or install it with `p2prc exec`",
    });
  }
  io.err(`installing python3 on ${names}, which Ansible works with`);
  await atMost(AT_ONCE, targets, async (target) => {
    io.progress(`installing python3 on ${target.name}`);
    await shellIn(client, { target, line: BRING_PYTHON }, io.signal);
  });
}

/** The same in every sandbox, so that one playbook holds for all: those that are open already where they agree. */
export function choosePorts(wanted: readonly (number | undefined)[], targets: readonly Target[]): readonly number[] {
  const [first, ...others] = targets;
  const shared = (first?.ports ?? []).filter((port) => others.every(({ ports }) => ports.includes(port)));
  const taken = new Set(wanted.filter((port) => port !== undefined));
  const free = [...shared, ...Array.from({ length: wanted.length + taken.size + 1 }, (_, index) => FIRST_PORT + index)];
  return wanted.map((port) => {
    if (port !== undefined) return port;
    const next = free.find((one) => !taken.has(one)) ?? 0;
    taken.add(next);
    return next;
  });
}

/** Where nothing else listens as a rule; below what systems give to those who connect. */
const FIRST_PORT = 20_080;
