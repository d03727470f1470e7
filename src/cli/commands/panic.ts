/** p2prc panic: freeze everything that others run here, at once. */

import { sandboxCount } from "../boxes.ts";
import { command } from "../command.ts";
import { printJson } from "../io.ts";

interface Flags {
  readonly off?: boolean;
}

export const panic = command<Flags>({
  arguments: [{ name: "[what]", summary: "on (default), or off to let all go on", choices: ["on", "off"] }],
  options: [{ flags: "--off", summary: "the same as `off`" }],
  about:
    "Freezes every sandbox, closes the links of guests and stops lending, within a second. `panic off` lets the sandboxes go on; lending stays off until `p2prc lend on`.",
  examples: [
    { command: "p2prc panic", about: "something is wrong: stop it all" },
    { command: "p2prc panic off", about: "it was nothing" },
  ],
  json: {
    on: "whether all is frozen now",
    sandboxes: "how many were frozen, or go on",
    problems: "what could not be frozen, in words",
  },

  async run({ args: [what = "on"], flags, home, json }, io) {
    await using client = await io.open({ home });
    const reply = await client.panic(what === "on" && flags.off !== true, io.signal);
    if (json) printJson(io, reply);
    else if (reply.on) io.out(`${sandboxCount(reply.sandboxes)} frozen, links of guests closed, not lending`, "warn");
    else io.out(`${sandboxCount(reply.sandboxes)} may go on; \`p2prc lend on\` lends again`);
    for (const problem of reply.problems) io.err(problem, "bad");
    return reply.problems.length === 0 ? 0 : FROZEN_IN_PART;
  },
});

/** As "the daemon or this machine" in the table of exit codes. */
const FROZEN_IN_PART = 5;
