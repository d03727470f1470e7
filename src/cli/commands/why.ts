/** p2prc why: how was this node reached, or why was it not? */

import { shortNodeId } from "../../core/light.ts";
import type { Why } from "../../daemon/index.ts";
import { formatColumns } from "../columns.ts";
import { command } from "../command.ts";
import { formatAge, formatPath } from "../format.ts";
import { printJson } from "../io.ts";
import { rounded } from "../rounded.ts";

export const why = command({
  arguments: [{ name: "<node>", summary: "name, id or address of the node", completes: "nodes" }],
  examples: [{ command: "p2prc why attic", about: "each address that was tried, with its outcome" }],
  json: {
    node: "id, name",
    path: "what is in use now: kind, remote, via (the relay's name); absent where there is no link",
    attempts: "oldest first: path, address, outcome, ms, reason, at (milliseconds since 1970)",
    untried: "what was not tried, or cannot be: path, reason",
  },

  async run({ args: [node = ""], home, json }, io) {
    await using client = await io.open({ home });
    const answer = await client.why(node, io.signal);
    if (json) return printJson(io, rounded(answer));
    const now = io.clock.wallTime();
    io.err(headOf(answer), "bold");
    if (answer.attempts.length === 0) {
      io.err("nothing has been tried since the daemon started: `p2prc ping` tries now");
    }
    const lines = formatColumns(
      [
        { title: "AGO" },
        { title: "PATH" },
        { title: "ADDRESS" },
        { title: "OUTCOME" },
        { title: "MS", align: "right" },
        { title: "REASON" },
      ],
      [
        ...answer.attempts.map(({ at, path, address, outcome, ms, reason }) => [
          formatAge(now - at),
          path,
          address,
          outcome,
          ms.toFixed(0),
          reason,
        ]),
        ...answer.untried.map(({ path, reason }) => ["", path, "", "", "", reason]),
      ],
    );
    for (const [index, line] of lines.entries()) io.out(line, index === 0 ? "bold" : undefined);
  },
});

function headOf({ node, path }: Why): string {
  const way = path === undefined ? "no link now" : formatPath({ ...path, path: path.kind });
  return `${node.name} (${shortNodeId(node.id)}): ${way}`;
}
