/** p2prc logs: what has the daemon written down? */

import { command } from "../command.ts";
import { wholeNumber } from "../options.ts";

interface Flags {
  readonly follow?: boolean;
  readonly lines?: number;
}

export const logs = command<Flags>({
  options: [
    { flags: "-f, --follow", summary: "go on with what comes, until Ctrl-C" },
    {
      flags: "-n, --lines <number>",
      summary: "how many of the last lines (50)",
      parse: wholeNumber("--lines", 0, 10_000),
    },
  ],
  about: "One object of JSON a line, as pino writes them. Nothing secret is in it.",
  examples: [
    { command: "p2prc logs -f", about: "watch it" },
    { command: "p2prc logs -n 1000 | jq -r 'select(.level >= 40) | .msg'", about: "warnings and errors only" },
  ],
  json: { "…": "the lines are JSON in any case: level, time, msg and the facts" },

  async run({ flags, home }, io) {
    await using client = await io.open({ home, daemon: "never" });
    try {
      for await (const line of client.logs({ lines: flags.lines ?? 50, follow: flags.follow === true }, io.signal))
        io.out(line);
    } catch (error) {
      if (!io.signal.aborted || flags.follow !== true) throw error; // Ctrl-C is how following ends
    }
    return 0;
  },
});
