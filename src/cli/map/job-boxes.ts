/** The sandboxes that a job runs in: those that are there, by name or in groups, or some of its own, which go with it. */

import { appendFileSync, existsSync } from "node:fs";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { within } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import type { Job, JobBox } from "../../job/index.ts";
import type { Box, TouchRequest } from "../../sandbox/index.ts";
import { sandboxCount } from "../boxes.ts";
import { groupCalled, livingOf } from "../group-work.ts";
import type { Io } from "../io.ts";
import { keepBoxes } from "./keep-boxes.ts";
import { startBoxes } from "../many-boxes.ts";

export interface JobBoxes extends AsyncDisposable {
  readonly boxes: readonly JobBox[];
}

/** Of a sandbox's disk, for inputs that another task may want: the rest is for tasks. */
const KEPT_SHARE = 4;
/** The daemon remembers a removal that its node has not heard of; nobody need wait here for longer. */
const REMOVE_MS = 10_000;

/** @throws {Failure} not-found, … */
export async function openBoxes(client: Client, job: Job, io: Io): Promise<JobBoxes> {
  const { where, folder } = job;
  const { slots } = job.spec;
  if (where.kind === "on") {
    const found = await namedBoxes(client, where.names, io);
    return { boxes: found.map((box) => jobBox(box, slots)), [Symbol.asyncDispose]: async () => undefined };
  }
  io.insisted(); // the second Ctrl-C does not end us before they are removed; a third one does
  const own: Box[] = [];
  const onBox = (box: Box) => {
    own.push(box);
    appendFileSync(join(folder, OWN), `${box.sandbox.id}\n`);
  };
  try {
    io.progress(`starting ${sandboxCount(where.count)}`);
    const request = { name: "map", ...where.request } as TouchRequest;
    await startBoxes(client, { request, count: where.count, group: undefined, onBox }, io);
    if (own.length === 0)
      throw new Failure("unreachable", "no sandbox could be started", { hint: "what went wrong stands above" });
    io.signal.throwIfAborted();
  } catch (error) {
    await removeOwn(client, job, io);
    throw error;
  }
  const keeping = keepBoxes(client, own, io);
  const remove = async () => {
    await keeping[Symbol.asyncDispose]();
    await removeOwn(client, job, io);
  };
  return { boxes: own.map((box) => jobBox(box, slots)), [Symbol.asyncDispose]: remove };
}

/** Ids of those that were made for a job and are not removed yet, a line each: who was killed in the middle left them. */
const OWN = "boxes";

export function hasOwn({ folder }: Job): boolean {
  return existsSync(join(folder, OWN));
}

/** Also after Ctrl-C, and those of a run that was killed. */
export async function removeOwn(client: Client, job: Job, io: Io): Promise<void> {
  if (!hasOwn(job)) return;
  const path = join(job.folder, OWN);
  const ids = (await readFile(path, "utf8")).split("\n").filter((id) => id !== "");
  await Promise.all(ids.map((id) => removeOne(client, id, io)));
  await rm(path);
}

async function namedBoxes(client: Client, names: readonly string[], io: Io): Promise<readonly Box[]> {
  const found = new Map<string, Box>();
  for (const name of names) {
    const group = await groupCalled(client, name, io.signal);
    const boxes = group === undefined ? [await client.box(name, io.signal)] : livingOf(group, io);
    for (const box of boxes) found.set(box.sandbox.id, box);
  }
  return [...found.values()];
}

function jobBox({ sandbox, node }: Box, slots: number | undefined): JobBox {
  return {
    id: sandbox.id,
    name: sandbox.name,
    node: node.name,
    slots: slots ?? Math.max(1, Math.floor(sandbox.cpus)),
    keepBytes: Math.floor(sandbox.diskBytes / KEPT_SHARE),
  };
}

async function removeOne(client: Client, id: string, io: Io): Promise<void> {
  const late = () => new Failure("timed-out", "our own daemon does not answer");
  try {
    const limit = { clock: io.clock, timeoutMs: REMOVE_MS, late };
    const { done, node, name } = await within(
      limit,
      (signal) => client.removeBox(id, signal),
      new AbortController().signal,
    );
    if (!done) io.err(`${node.name} does not answer: ${name} is removed there as soon as it does`, "warn");
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.code === "not-found") return; // it ended before us
    io.err(
      `the sandbox ${id} could not be removed: ${error.message}; \`p2prc ps\` shows whether it is still there`,
      "warn",
    );
  }
}
