/** p2prc join: accept an invite. */

import { parseLocalName, shortNodeId } from "../../core/light.ts";
import { command } from "../command.ts";
import { formatGrant, formatUntil } from "../grants.ts";
import { printJson } from "../io.ts";

interface Flags {
  readonly name?: string;
  readonly own?: boolean;
}

export const join = command<Flags>({
  arguments: [{ name: "<invite>", summary: "the link that `p2prc invite` printed there: p2prc://…" }],
  options: [
    { flags: "--name <name>", summary: "what to call that node here", parse: parseLocalName },
    { flags: "--own", summary: "both machines are mine: that one may do everything here too" },
  ],
  about:
    "The node that issued the invite becomes a friend of this one, and this one a guest there. It may do nothing here.",
  examples: [
    { command: "p2prc join 'p2prc://…'", about: "as it was sent" },
    { command: "p2prc join 'p2prc://…' --name attic", about: "under a name of one's own" },
  ],
  json: {
    id: "the key of that node",
    name: "what it is called here",
    relation: "own or friend",
    grant: "what this node may do there, as in `p2prc grants --json`",
  },

  async run({ args: [invite = ""], flags: { name, own }, home, json }, io) {
    await using client = await io.open({ home });
    io.progress("reaching the node that issued it");
    const reply = await client.join(
      { invite, ...(name === undefined ? {} : { name }), ...(own === true ? { own } : {}) },
      io.signal,
    );
    if (json) return printJson(io, reply);
    io.out(
      `${reply.name} (${shortNodeId(reply.id)}) is ${reply.relation === "own" ? "a machine of mine" : "a friend"} now`,
    );
    io.err(`there I may use: ${formatGrant(reply.grant)}, until ${formatUntil(reply.grant.until)}`);
  },
});
