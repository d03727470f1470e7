/** p2prc update: who is out there? The seed's `--us`. */

import type { UpdateProgress, UpdateResult } from "../../table/index.ts";
import { cleanText } from "../../core/light.ts";
import { command } from "../command.ts";
import { formatTook, plural } from "../format.ts";
import { type Io, printJson } from "../io.ts";
import { wholeNumber } from "../options.ts";
import { lastOf } from "../steps.ts";
import { listNodes } from "./ls.ts";

interface Flags {
  readonly hops?: number;
  readonly blocks?: boolean;
}

export const update = command<Flags>({
  options: [
    {
      flags: "--hops <number>",
      summary: "how far to walk: 1 asks the nodes one knows, 2 those they know too (3; at most 16)",
      parse: wholeNumber("--hops", 1, 16),
    },
    { flags: "--blocks", summary: "in the format of `p2prc --ls`", hidden: true },
  ],
  about:
    "Ends when all that answer have. Those that do not are listed as trying, and the daemon goes on in the background.",
  examples: [
    { command: "p2prc update", about: "walk three hops, then list everybody" },
    { command: "p2prc --us --hops 5", about: "the same, further, as the first P2PRC took it" },
  ],
  json: {
    asked: "nodes asked",
    answered: "nodes that answered",
    failed: "nodes that refused, or have another key",
    found: "nodes that were not known before",
    hops: "the furthest hop at which somebody answered",
    tookMs: "how long it took",
    trying: "nodes that are still being tried: id, name",
    beyond: "nodes heard of at the last hop, left for a longer walk",
    nodes: "the table after it, as in `p2prc ls --all --json`",
  },

  async run({ flags, home, json }, io) {
    await using client = await io.open({ home });
    const result = await lastOf(client.update({ hops: flags.hops }, io.signal), (progress) =>
      io.progress(progressLine(progress)),
    );
    if (json) {
      const { nodes } = await client.nodes({ all: true }, io.signal);
      printJson(io, { ...result, nodes });
      return;
    }
    tell(result, io);
    await listNodes(client, { all: true, json, blocks: flags.blocks === true }, io);
  },
});

function progressLine({ hop, asked, answered, waiting, found }: UpdateProgress): string {
  return `hop ${hop}: asked ${plural(asked, "node")}, ${answered} answered, waiting for ${waiting}, ${found} new`;
}

function tell({ asked, answered, found, hops, tookMs, trying, beyond }: UpdateResult, io: Io): void {
  if (asked === 0) {
    io.err("there was nobody to ask");
    return;
  }
  io.err(
    `${plural(answered, "node")} of ${asked} answered in ${formatTook(tookMs)}, over ${plural(hops, "hop")}; ${found} new`,
  );
  if (trying.length > 0) {
    const names = trying
      .slice(0, 5)
      .map(({ name }) => cleanText(name, 32))
      .join(", ");
    io.err(`still trying: ${names}${trying.length > 5 ? ` and ${trying.length - 5} more` : ""}`, "dim");
  }
  if (beyond > 0) io.err(`${plural(beyond, "node")} further away: \`p2prc update --hops ${hops + 1}\``, "dim");
}
