/** p2prc stop: end the daemon. */

import { command } from "../command.ts";
import { printJson } from "../io.ts";

export const stop = command({
  about: "Content when there is none. Whatever is lent to others ends with it.",
  examples: [{ command: "p2prc stop", about: "end the daemon of this home" }],
  json: { stopped: "whether there was one", pid: "the process that ended" },

  async run({ home, json }, io) {
    io.progress("waiting for the daemon to end");
    const ended = await io.stop(home);
    if (json) printJson(io, ended === undefined ? { stopped: false } : { stopped: true, pid: ended.pid });
    else io.out(ended === undefined ? "no daemon runs for this home" : `the daemon of ${ended.name} has ended`);
  },
});
