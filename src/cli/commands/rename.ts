/** p2prc rename: what is this node called here? */

import { parseLocalName } from "../../core/light.ts";
import { command } from "../command.ts";
import { printJson } from "../io.ts";

export const rename = command({
  arguments: [
    { name: "<node>", summary: "name, id or address of the node", completes: "nodes" },
    { name: "<name>", summary: "what to call it from now on, on this machine only" },
  ],
  examples: [{ command: "p2prc rename uq3s attic", about: "a name that is easier to type" }],
  json: { name: "its name now", id: "its key", "…": "the other fields of a node, as in `p2prc ls --json`" },

  async run({ args: [node = "", name = ""], home, json }, io) {
    const wanted = parseLocalName(name);
    await using client = await io.open({ home });
    const row = await client.rename(node, wanted, io.signal);
    if (json) printJson(io, row);
    else io.out(`${node} is called ${row.name} here`);
  },
});
