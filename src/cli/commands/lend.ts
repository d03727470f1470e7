/** p2prc lend: may those who are allowed to use this machine do so now? */

import { command } from "../command.ts";
import { printJson } from "../io.ts";

export const lend = command({
  arguments: [{ name: "[what]", summary: "on, off, or status (default)", choices: ["on", "off", "status"] }],
  about: "Turns lending on or off in the daemon, which goes on running. To whom is said by invites and grants.",
  examples: [
    { command: "p2prc lend off", about: "nobody starts anything new here" },
    { command: "p2prc lend", about: "is it on?" },
  ],
  json: { lends: "whether this node lends now" },

  async run({ args: [what = "status"], home, json }, io) {
    await using client = await io.open({ home });
    const { lends } = what === "status" ? await client.status(io.signal) : await client.lend(what === "on", io.signal);
    if (json) printJson(io, { lends });
    else io.out(lends ? "lending to my own nodes and those I invited" : "not lending");
  },
});
