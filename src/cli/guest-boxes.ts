/** What an owner does to one sandbox of a guest, on the command line. */

import type { Sandbox } from "../sandbox/index.ts";
import type { Argument } from "./command.ts";
import { type Io, printJson } from "./io.ts";

export const guestArgument: Argument = { name: "<sandbox>", summary: "name or id, as in `p2prc ps --guests`" };

export const guestFields = {
  "…": "the sandbox: id, name, guest, state, reason, runtime, image, profile, cpus, memoryBytes, diskBytes, network, gpus, ports, made, expires, user",
} as const;

export function printGuest(
  { sandbox, did, json }: { readonly sandbox: Sandbox; readonly did: string; readonly json: boolean },
  io: Io,
): void {
  if (json) printJson(io, sandbox);
  else io.out(`${sandbox.name} (${sandbox.id}) ${did}`);
}
