/** Several sandboxes at once: `box1`, `box2`, …, on the nearest nodes in turn, in a group where one is named. */

import type { Client } from "../client/index.ts";
import { Failure } from "../core/light.ts";
import type { Box, TouchRequest } from "../sandbox/index.ts";
import { parseBoxName } from "../sandbox/light.ts";
import { atMost, codeOf, groupCalled } from "./group-work.ts";
import type { Io } from "./io.ts";
import { lastOf } from "./steps.ts";

export interface ManyBoxes {
  readonly request: TouchRequest;
  readonly count: number;
  /** The name of a group; made where there is none. */
  readonly group: string | undefined;
}

/** Each of them has its images to fetch: the nodes, not this machine, are what is kept busy. */
const AT_ONCE = 16;
/** Names that somebody else takes while we ask. */
const MAX_NAME_TRIES = 20;

/**
 * Those that were started are handed to `onBox` as they come, and stay when others fail.
 * @returns the exit code of the first that failed @throws {Failure} bad-name, bad-argument
 */
export async function startBoxes(
  client: Client,
  { request, count, group, onBox }: ManyBoxes & { readonly onBox: (box: Box) => void },
  io: Io,
): Promise<number> {
  const base = request.name ?? "box";
  parseBoxName(`${base}${count}`); // none is started where the last could not be named
  const join = await openGroup(client, group, io);
  const names = freeNames(base, await takenNames(client, io));
  const codes: number[] = [];
  const started: Box[] = [];
  const work = atMost(AT_ONCE, Array.from({ length: count }), async (_, turn) => {
    const order = { ...request, ...(request.near === true ? { turn } : {}) };
    codes[turn] = await codeOf(
      async () => {
        const box = await startNamed(client, { order, names }, io);
        started[turn] = box;
        onBox(box);
        io.progress(`${Object.keys(started).length} of ${count} started`);
      },
      { name: `${base} ${turn + 1} of ${count}`, io },
    );
  });
  try {
    await work;
  } finally {
    // In the order of their names; also those that were started before Ctrl-C.
    await join.add(started.filter((box) => box !== undefined));
  }
  return codes.find((code) => code !== 0) ?? 0;
}

async function startNamed(
  client: Client,
  { order, names }: { readonly order: TouchRequest; readonly names: () => string },
  io: Io,
): Promise<Box> {
  for (let tries = 1; ; tries++) {
    try {
      return await lastOf(client.touch({ ...order, name: names() }, io.signal), () => undefined);
    } catch (error) {
      if (!(error instanceof Failure) || error.code !== "conflict" || tries === MAX_NAME_TRIES) throw error;
    }
  }
}

/** Puts sandboxes into a group; one that had to be made is taken back where there is none to put in. */
export async function openGroup(client: Client, name: string | undefined, io: Io) {
  if (name === undefined) return { add: async () => undefined };
  const found = await groupCalled(client, name, io.signal);
  const { id } = found ?? (await client.createGroup({ name }, io.signal));
  const { signal } = new AbortController(); // Ctrl-C may be why we are here
  return {
    add: async (boxes: readonly Box[]) => {
      const ids = boxes.map(({ sandbox }) => sandbox.id);
      if (ids.length > 0) await client.addToGroup(id, ids, signal);
      else if (found === undefined) await client.removeGroup(id, signal);
    },
  };
}

async function takenNames(client: Client, { signal }: Io): Promise<ReadonlySet<string>> {
  const { boxes } = await client.boxes({ ask: false }, signal);
  return new Set(boxes.map(({ sandbox }) => sandbox.name));
}

/** Each call another. */
function freeNames(base: string, taken: ReadonlySet<string>): () => string {
  let number = 0;
  return () => {
    do number++;
    while (taken.has(`${base}${number}`));
    return parseBoxName(`${base}${number}`);
  };
}
