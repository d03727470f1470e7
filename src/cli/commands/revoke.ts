/** p2prc revoke: this guest not any more. */

import { shortNodeId } from "../../core/light.ts";
import { command } from "../command.ts";
import { printJson } from "../io.ts";

export const revoke = command({
  arguments: [{ name: "<node>", summary: "the guest: name, id or the start of one", completes: "nodes" }],
  about: "Its links and what it runs here end within five seconds.",
  examples: [{ command: "p2prc revoke attic", about: "it may do nothing here any more" }],
  json: {
    id: "the key of the guest that was",
    name: "its name here",
    openInvite: "the invite it came from, where others can still redeem it",
  },

  async run({ args: [node = ""], home, json }, io) {
    await using client = await io.open({ home });
    const reply = await client.revoke(node, io.signal);
    if (json) return printJson(io, reply);
    io.out(`${reply.name} (${shortNodeId(reply.id)}) may do nothing here any more`);
    if (reply.openInvite !== undefined)
      io.err(
        `the invite it came from is still open: \`p2prc invites --remove ${reply.openInvite}\` takes it back`,
        "warn",
      );
  },
});
