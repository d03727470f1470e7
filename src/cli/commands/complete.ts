/**
 * p2prc __complete: what may follow on the command line, for the shells' scripts.
 *
 * A person is typing: after 300 ms it says what it has, and it never starts a daemon or complains.
 */

import { within } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { Failure, homePath } from "../../core/light.ts";
import { command } from "../command.ts";
import { completeWords, printed } from "../complete.ts";
import { globalOptions } from "../global-options.ts";
import type { Io } from "../io.ts";

const TIMEOUT_MS = 300;

export const complete = command({
  arguments: [{ name: "[words...]", summary: "what follows p2prc so far; the last one is unfinished" }],
  examples: [{ command: "p2prc __complete ping at", about: "prints attic" }],
  json: {},

  async run({ args, commands }, io) {
    const nodes = (home: string | undefined) => namesWithin(home, nodeNames, io);
    const boxes = (home: string | undefined) => namesWithin(home, boxNames, io);
    const lines = printed(await completeWords(args, { commands, nodes, boxes, globalOptions }));
    if (lines.length > 0) io.out(lines.join("\n"));
  },
});

type Names = (client: Client, signal: AbortSignal) => Promise<readonly string[]>;

async function namesWithin(home: string | undefined, names: Names, io: Io): Promise<readonly string[]> {
  const environment = home === undefined ? io.machine.environment : { P2PRC_HOME: home };
  const late = () => new Failure("timed-out", "took too long");
  try {
    return await within(
      { clock: io.clock, timeoutMs: TIMEOUT_MS, late },
      async (signal) => {
        await using client = await io.open({
          home: homePath(environment, io.machine.userFolder),
          daemon: "never",
          quiet: true,
        });
        return await names(client, signal);
      },
      io.signal,
    );
  } catch (error) {
    if (error instanceof Failure) return []; // no daemon, a slow one: then there are no names to offer
    throw error;
  }
}

async function nodeNames(client: Client, signal: AbortSignal): Promise<readonly string[]> {
  const { nodes } = await client.nodes({ all: false }, signal);
  return nodes.map(({ name }) => name);
}

async function boxNames(client: Client, signal: AbortSignal): Promise<readonly string[]> {
  const [{ boxes }, { groups }] = await Promise.all([client.boxes({ ask: false }, signal), client.groups(signal)]);
  return [...boxes.map(({ sandbox }) => sandbox.name), ...groups.map(({ name }) => name)];
}
