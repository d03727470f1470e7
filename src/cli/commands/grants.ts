/** p2prc grants: who may use this machine? */

import type { GrantRow } from "../../access/index.ts";
import { shortNodeId } from "../../core/light.ts";
import { formatColumns } from "../columns.ts";
import { command } from "../command.ts";
import { formatGrant, formatTime, grantFields } from "../grants.ts";
import { printJson } from "../io.ts";

export const grants = command({
  examples: [{ command: "p2prc grants", about: "everybody who may use this machine" }],
  json: {
    grants: "one for each guest",
    "grants[].id": "the guest's key",
    "grants[].name": "its name here",
    "grants[].ended": "whether it has run out",
    "grants[].since": "milliseconds since 1970",
    "grants[].invite": "the id of the invite it came from",
    "grants[].grant": "what it may do",
    ...Object.fromEntries(Object.entries(grantFields).map(([field, meaning]) => [`grants[].grant.${field}`, meaning])),
  },

  async run({ home, json }, io) {
    await using client = await io.open({ home });
    const reply = await client.grants(io.signal);
    if (json) return printJson(io, reply);
    if (reply.grants.length === 0) {
      io.err("nobody may use this machine: `p2prc invite` lets somebody in");
      return;
    }
    const lines = formatColumns(
      [{ title: "GUEST" }, { title: "ID" }, { title: "UNTIL" }, { title: "MAY USE" }],
      reply.grants.map(({ name, id, grant, ended }) => [
        name,
        shortNodeId(id),
        formatEnd({ ended, grant }),
        formatGrant(grant),
      ]),
    );
    for (const [index, line] of lines.entries()) io.out(line, index === 0 ? "bold" : undefined);
  },
});

function formatEnd({ ended, grant: { until } }: Pick<GrantRow, "ended" | "grant">): string {
  if (ended) return "ended";
  return until === undefined ? "no end" : formatTime(until);
}
