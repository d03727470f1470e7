/** p2prc add: a node by its address. Its key is shown first: that is what one trusts, not the address. */

import type { Client } from "../../client/index.ts";
import { Failure, parseNodeId } from "../../core/light.ts";
import type { IdentifyReply } from "../../table/index.ts";
import { command } from "../command.ts";
import { confirm, type Io, printJson } from "../io.ts";

interface Flags {
  readonly yes?: boolean;
  readonly key?: string;
}

export const add = command<Flags>({
  arguments: [{ name: "<address>", summary: "host name or IP address, with its port where that is not 8088" }],
  options: [
    { flags: "-y, --yes", summary: "trust whatever key answers there" },
    { flags: "--key <id>", summary: "add it only if this is its key" },
  ],
  about: "The node becomes a friend: it is kept for ever and asked for news. It grants nothing in either direction.",
  examples: [
    { command: "p2prc add host.example:8088", about: "shows the key, asks, adds" },
    { command: "p2prc add '[2001:db8::7]:8088' --yes", about: "for a script that trusts the network" },
  ],
  json: { name: "its name here", id: "its key", "…": "the other fields of a node, as in `p2prc ls --json`" },

  async run({ args: [address = ""], flags, home, json }, io) {
    const wanted = flags.key === undefined ? undefined : parseNodeId(flags.key);
    await using client = await io.open({ home });
    io.progress(`asking who answers at ${address}`);
    const found = await whoAnswers(client, address, io);
    if (wanted !== undefined && wanted !== found.id) {
      throw new Failure("wrong-key", `another node answers at ${found.address}: ${found.id}`, {
        hint: "ask its owner for the key; the owner sees it in `p2prc status`",
      });
    }
    io.err(`at ${found.address} answers "${found.name}", version ${found.version}, with the key\n  ${found.id}`);
    if (found.known !== undefined) io.err(`it is known here as ${found.known.name} (${found.known.relation})`);
    if (wanted === undefined && flags.yes !== true) await askWhether(io);
    const row = await client.add({ address, id: found.id }, io.signal);
    if (json) printJson(io, row);
    else io.out(`added ${row.name}: it is a friend of this node now`);
  },
});

/** Of a node that is not known yet there is no `why` to look into. @throws {Failure} */
async function whoAnswers(client: Client, address: string, io: Io): Promise<IdentifyReply> {
  try {
    return await client.identify(address, io.signal);
  } catch (error) {
    if (!(error instanceof Failure) || error.code !== "unreachable") throw error;
    throw new Failure("unreachable", `nobody was found at ${address}: ${error.message}`, {
      hint: "is that the address and port that `p2prc status` shows there, does it lend (`p2prc -s`), and does its firewall let others in?",
      cause: error,
    });
  }
}

/** @throws {Failure} not-allowed */
async function askWhether(io: Io): Promise<void> {
  const answer = await confirm(io, "is that the key that its owner sees in `p2prc status`? add it?");
  if (answer === true) return;
  if (answer === false)
    throw new Failure("not-allowed", "not added", { hint: "ask its owner for the key, and compare" });
  throw new Failure("not-allowed", "nobody is here to confirm the key", {
    hint: "give the key with --key, or accept any with --yes",
  });
}
