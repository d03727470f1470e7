/** p2prc run: start a sandbox, run a command in it, remove it. */

import { within } from "../../base/index.ts";
import type { Client } from "../../client/index.ts";
import { Failure } from "../../core/light.ts";
import { formatEnd, startBox, type WishFlags, wishOf, wishOptions } from "../boxes.ts";
import { command } from "../command.ts";
import { execInBox } from "../exec-in-box.ts";
import type { Io } from "../io.ts";

interface Flags extends WishFlags {
  readonly keep?: boolean;
}

/** The daemon remembers a removal that its node has not heard of; nobody need wait here for longer. */
const REMOVE_MS = 10_000;

export const run = command<Flags>({
  arguments: [
    { name: "[node]", summary: "name, id or address of the node; with --near none", completes: "nodes" },
    { name: "[command...]", summary: "the command and its words, best behind `--`; without one, a shell" },
  ],
  takesCommand: true,
  options: [...wishOptions, { flags: "--keep", summary: "leave the sandbox there" }],
  about:
    "What the command writes goes to stdout and stderr, words about the sandbox to stderr, and its exit code passes through. The sandbox is removed at the end, also after Ctrl-C.",
  examples: [
    { command: "p2prc run attic --image debian:bookworm -- make -j4", about: "as if it ran here" },
    { command: "p2prc run --near --gpu -- nvidia-smi", about: "on the nearest node with a GPU" },
    { command: "tar c src | p2prc run attic -- sh -c 'tar x && make' > log", about: "in a pipe" },
  ],
  json: {},

  async run({ args, rest, flags, home }, io) {
    const words = flags.near === true ? args : args.slice(1);
    const node = flags.near === true ? undefined : args[0];
    const request = { ...wishOf(flags), ...(node === undefined ? {} : { node }) };
    await using client = await io.open({ home });
    const { sandbox, node: place } = await startBox(client, request, io);
    io.err(`${sandbox.name} on ${place.name}, ends ${formatEnd(sandbox.expires, io.clock.wallTime())}`, "dim");
    try {
      return await execInBox(client, { box: sandbox.id, argv: [...words, ...(rest ?? [])] }, io);
    } finally {
      if (flags.keep !== true) await remove(client, sandbox.id, io);
    }
  },
});

/** Also after Ctrl-C: that was for the command. */
async function remove(client: Client, id: string, io: Io): Promise<void> {
  const late = () => new Failure("timed-out", "our own daemon does not answer");
  try {
    const { done, node, name } = await within(
      { clock: io.clock, timeoutMs: REMOVE_MS, late },
      (signal) => client.removeBox(id, signal),
      new AbortController().signal,
    );
    if (!done) io.err(`${node.name} has not confirmed it: ${name} is removed there as soon as it can`, "warn");
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    if (error.code === "not-found") return; // it ended before us
    io.err(`the sandbox could not be removed: ${error.message}; \`p2prc ps\` shows whether it is still there`, "warn");
  }
}
