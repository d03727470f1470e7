/** p2prc touch: the seed's word for starting a sandbox on a node. This version answers that it cannot. */

import { Failure } from "../../core/light.ts";
import { command } from "../command.ts";
import { wholeNumber } from "../options.ts";

export const touch = command({
  arguments: [{ name: "<node>", summary: "name, id or address of the node", completes: "nodes" }],
  options: [
    { flags: "--ports <number>", summary: "how many TCP ports", parse: wholeNumber("--ports", 0, 1000) },
    { flags: "--gpu", summary: "with a GPU" },
  ],
  examples: [{ command: "p2prc --touch 192.0.2.7 --ports 2 --GPU", about: "as the first P2PRC took it" }],
  json: {},

  async run({ args: [node = ""] }) {
    throw new Failure("not-supported", `this version cannot start a sandbox on "${node}" yet`, {
      hint: "what it can do with other nodes: `p2prc help`; CHANGELOG.md tells what came when",
    });
  },
});
