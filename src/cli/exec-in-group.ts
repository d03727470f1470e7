/** A command in every sandbox of a group, without input and without a terminal; Ctrl-C is for all of them. */

import { Readable } from "node:stream";
import type { Client } from "../client/index.ts";
import { Failure } from "../core/light.ts";
import type { Group } from "../sandbox/index.ts";
import { execInBox, type ExecOptions } from "./exec-in-box.ts";
import { ended, onEach, prefixed, prefixes } from "./group-work.ts";
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
  const prefix = prefixes(group.members.flatMap(({ box }) => (box === undefined ? [] : [box])));
  return await onEach(
    group,
    async (box) => {
      const stdout = prefixed(io.streams.stdout, prefix(box));
      const stderr = prefixed(io.streams.stderr, prefix(box));
      const streams = { stdin: Readable.from([]), stdout, stderr, setRaw: async () => undefined };
      const place = { ...options, box: box.sandbox.name, terminal: false, input: false };
      try {
        return await execInBox(client, place, { ...io, streams });
      } finally {
        await Promise.all([ended(stdout), ended(stderr)]);
      }
    },
    io,
  );
}
