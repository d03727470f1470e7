/**
 * A command in every sandbox of a group, without a terminal: each gets all that is piped in, and the slowest sets the pace.
 * Ctrl-C is for all of them.
 */

import { PassThrough, Readable } from "node:stream";
import type { Client } from "../client/index.ts";
import { Failure } from "../core/light.ts";
import type { Group } from "../sandbox/index.ts";
import { execInBox, type ExecOptions, roomIn } from "./exec-in-box.ts";
import { AT_ONCE, ended, onEach, prefixed, prefixes } from "./group-work.ts";
import type { Io } from "./io.ts";

/** @returns the exit code of the first that failed @throws {Failure} bad-argument, not-found */
export async function execInGroup(
  client: Client,
  { group, ...options }: Omit<ExecOptions, "box"> & { readonly group: Group },
  io: Io,
): Promise<number> {
  if (options.terminal === true || options.argv.length === 0) {
    throw new Failure("bad-argument", `${group.name} is a group: a terminal is for one sandbox`, {
      hint: `give a command, as in \`p2prc exec ${group.name} -- uname -a\`, or enter the first with \`p2prc ssh ${group.name}\``,
    });
  }
  const boxes = group.members.flatMap(({ box }) => (box === undefined ? [] : [box]));
  const prefix = prefixes(boxes);
  const piped = options.input !== false && boxes.length > 0 && io.streams.stdin.isTTY !== true;
  const shares = piped ? shared(boxes.length, group, io) : [];
  return await onEach(
    group,
    async (box) => {
      const stdout = prefixed(io.streams.stdout, prefix(box));
      const stderr = prefixed(io.streams.stderr, prefix(box));
      const share = shares[boxes.indexOf(box)];
      const streams = { stdin: share ?? Readable.from([]), stdout, stderr, setRaw: async () => undefined };
      const place = { ...options, box: box.sandbox.name, terminal: false, input: share !== undefined };
      try {
        return await execInBox(client, place, { ...io, streams });
      } finally {
        share?.destroy(); // the others wait for one that does not read
        await Promise.all([ended(stdout), ended(stderr)]);
      }
    },
    io,
  );
}

/** What is piped in, so many times. @throws {Failure} too-large */
function shared(count: number, { name }: Group, { streams: { stdin } }: Io): readonly PassThrough[] {
  if (count > AT_ONCE) {
    throw new Failure("too-large", `what is piped in goes to at most ${AT_ONCE} sandboxes, and ${name} has ${count}`, {
      hint: "with --no-input the command gets none; `p2prc cp` takes a file to all of them",
    });
  }
  const shares = Array.from({ length: count }, () => new PassThrough());
  // Whoever writes to us has nobody to write to any more.
  const left = () => void (shares.every(({ destroyed }) => destroyed) && stdin.destroy());
  for (const share of shares) share.once("close", left);
  void pour(stdin, shares);
  return shares;
}

async function pour(stdin: AsyncIterable<Uint8Array>, shares: readonly PassThrough[]): Promise<void> {
  try {
    for await (const chunk of stdin) {
      const open = shares.filter(({ destroyed }) => !destroyed);
      await Promise.all(open.map(async (share) => void (share.write(chunk) || (await roomIn(share)))));
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error; // what breaks has ended, for each command
  }
  for (const share of shares) share.end();
}
