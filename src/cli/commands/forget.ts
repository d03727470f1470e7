/** p2prc forget: this node is of no use any more. */

import { shortNodeId } from "../../core/light.ts";
import { command } from "../command.ts";
import { printJson } from "../io.ts";

export const forget = command({
  arguments: [{ name: "<node>", summary: "name, id or address of the node", completes: "nodes" }],
  about: "It is no friend any more. Others may still tell of it: then it is listed among the strangers.",
  examples: [{ command: "p2prc forget attic", about: "take it out of the table" }],
  json: { id: "its key", name: "the name it had" },

  async run({ args: [node = ""], home, json }, io) {
    await using client = await io.open({ home });
    const gone = await client.forget(node, io.signal);
    if (json) printJson(io, gone);
    else io.out(`forgot ${gone.name} (${shortNodeId(gone.id)})`);
  },
});
