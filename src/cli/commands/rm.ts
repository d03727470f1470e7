/** p2prc rm: end sandboxes, with all that is in them. */

import { Failure } from "../../core/light.ts";
import { command } from "../command.ts";
import { printJson } from "../io.ts";

export const rm = command({
  arguments: [{ name: "<box...>", summary: "names or ids of sandboxes", completes: "boxes" }],
  about:
    "What is in them is gone. Where a node does not answer, the removal is remembered and done as soon as it does; the name is free at once.",
  examples: [
    { command: "p2prc rm box", about: "one" },
    { command: "p2prc rm $(p2prc ps --json | jq -r '.boxes[].sandbox.id')", about: "all" },
  ],
  json: {
    id: "of the sandbox; one object a line where several were named",
    name: "its name",
    node: "id and name of its node",
    done: "whether its node has confirmed it; else it is told later",
  },

  async run({ args, home, json }, io) {
    await using client = await io.open({ home });
    let failed: Failure | undefined;
    for (const name of args) {
      io.progress(`removing ${name}`);
      try {
        const reply = await client.removeBox(name, io.signal);
        if (json) printJson(io, reply);
        else if (reply.done) io.out(`removed ${reply.name} from ${reply.node.name}`);
        else
          io.out(`${reply.node.name} has not confirmed it: ${reply.name} is removed there as soon as it can`, "warn");
      } catch (error) {
        // The others are removed all the same.
        if (!(error instanceof Failure) || args.length === 1) throw error;
        if (failed !== undefined) io.err(`p2prc: ${failed.message}`, "bad");
        failed = error;
      }
    }
    if (failed !== undefined) throw failed;
  },
});
